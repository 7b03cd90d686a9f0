package traffic

import (
	"crypto/tls"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Dial makes a client of one member that notices quickly when the member falls
// silent and when it is back: a machine without power sends no FIN or RST, so
// only timers can tell. slow is how many times longer an answer may take than on
// an ordinary machine.
func Dial(url string, tlsConfig *tls.Config, slow float64) (*clientv3.Client, error) {
	return dial([]string{url}, tlsConfig, slow, User{})
}

// DialAs is Dial for a user. It asks the member for a token at once, and fails
// when it gets none; with authentication off none is needed.
func DialAs(url string, tlsConfig *tls.Config, slow float64, user User) (*clientv3.Client, error) {
	return dial([]string{url}, tlsConfig, slow, user)
}

// dial makes a client that asks the members of urls in turn.
func dial(urls []string, tlsConfig *tls.Config, slow float64, user User) (*clientv3.Client, error) {
	times := func(d time.Duration) time.Duration { return time.Duration(float64(d) * max(1, slow)) }
	return clientv3.New(clientv3.Config{
		Endpoints:   urls,
		Username:    user.Name,
		Password:    user.Password,
		TLS:         tlsConfig,
		DialTimeout: times(2 * time.Second),
		Logger:      zap.NewNop(),
		// gRPC raises the ping interval to 10 s, but the time-out is also set
		// as TCP_USER_TIMEOUT: data that a silent peer has not acknowledged
		// for so long breaks the connection.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: times(400 * time.Millisecond),
		// The client retries some reads by itself; one attempt a request keeps
		// every attempt in the history.
		MaxUnaryRetries: 1,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 10 * time.Millisecond, Multiplier: 1.5,
				Jitter: 0.2, MaxDelay: 50 * time.Millisecond,
			},
			// A SYN that is lost is sent again after 1 s; a new attempt is sooner.
			MinConnectTimeout: times(250 * time.Millisecond),
		})},
	})
}
