package agent

// GuestDevice is the disk of a guest, and KindDevice the kind of disk that its
// agent is configured with where the disk's power and faults are the business of
// the agent beside the machine.
const (
	GuestDevice = "/dev/vda"
	KindDevice  = "device"
)

// GuestLogDevice is where the guest's device mapper records, if it does.
const GuestLogDevice = "/dev/vdb"
