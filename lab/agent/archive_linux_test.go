package agent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The page cache of a machine without power is no evidence of what it kept.
func TestNoArchiveOfADiskWithoutPower(t *testing.T) {
	a := &Agent{cfg: &Config{Member: "m1"}, disk: &faultDisk{mounted: true}, cut: true}
	w := httptest.NewRecorder()
	Handler(a, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/archive", nil))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "no power") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
