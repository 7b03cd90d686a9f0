package doctor

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// /dev/kvm may exist and its guests never run: KVM_RUN then does not return,
// with one CPU at 100 %. So the guest runs in a child process, this program
// again, that can be killed.

const kvmChild = "ETCDLAB_DOCTOR_KVM_CHILD"

// kvmLimit is generous: the guest's three instructions take microseconds.
const kvmLimit = 2 * time.Second

// guest is what the guest does, in real mode: say k on port 0x10, halt.
const guest = "" +
	"\xB0k" + // mov al, 'k'
	"\xE6\x10" + // out 0x10, al
	"\xF4" // hlt

func kvm(ctx context.Context) (string, error) {
	// PVM is KVM without the processor's help: three instructions run, and a
	// kernel that was not made for it never says a word.
	if _, err := os.Stat("/sys/module/kvm_pvm"); err == nil {
		return "/dev/kvm of PVM, which runs only kernels made for it", errLacking
	}
	return tryGuest(ctx, guest)
}

func init() {
	code, ok := os.LookupEnv(kvmChild)
	if !ok {
		return
	}
	if err := runGuest(code); err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func tryGuest(ctx context.Context, code string) (string, error) {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	f.Close()
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, kvmLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), kvmChild+"="+hex.EncodeToString([]byte(code)))
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "/dev/kvm, but its guest did not run", fmt.Errorf("gave up after %v", kvmLimit)
	case err != nil:
		return "/dev/kvm", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return "/dev/kvm, and a guest ran", nil
}

// From linux/kvm.h, for x86.
const (
	kvmGetAPIVersion       = 0xAE00
	kvmCreateVM            = 0xAE01
	kvmGetVCPUMmapSize     = 0xAE04
	kvmCreateVCPU          = 0xAE41
	kvmSetUserMemoryRegion = 0x4020AE46
	kvmRun                 = 0xAE80
	kvmSetRegs             = 0x4090AE82
	kvmGetSregs            = 0x8138AE83
	kvmSetSregs            = 0x4138AE84

	kvmExitIO  = 2
	kvmExitHLT = 5
)

const guestAddress = 0x1000

// runGuest runs the guest, in hexadecimal, to its end and checks what it said.
func runGuest(code string) error {
	instructions, err := hex.DecodeString(code)
	if err != nil {
		return err
	}
	dev, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if v, err := unix.IoctlRetInt(dev, kvmGetAPIVersion); err != nil || v != 12 {
		return fmt.Errorf("KVM's interface is version %d (%v), not 12", v, err)
	}
	vm, err := unix.IoctlRetInt(dev, kvmCreateVM)
	if err != nil {
		return fmt.Errorf("make a VM: %w", err)
	}
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	copy(page, instructions)
	region := struct {
		slot, flags              uint32
		address, size, userspace uint64
	}{address: guestAddress, size: 4096, userspace: uint64(uintptr(unsafe.Pointer(&page[0])))}
	if err := ioctl(vm, kvmSetUserMemoryRegion, unsafe.Pointer(&region)); err != nil {
		return fmt.Errorf("give the VM memory: %w", err)
	}
	cpu, err := unix.IoctlRetInt(vm, kvmCreateVCPU)
	if err != nil {
		return fmt.Errorf("make a CPU: %w", err)
	}
	size, err := unix.IoctlRetInt(dev, kvmGetVCPUMmapSize)
	if err != nil {
		return err
	}
	state, err := unix.Mmap(cpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the CPU's state: %w", err)
	}
	if err := setRegisters(cpu); err != nil {
		return err
	}
	for _, want := range []uint32{kvmExitIO, kvmExitHLT} {
		if err := ioctl(cpu, kvmRun, nil); err != nil {
			return fmt.Errorf("run the CPU: %w", err)
		}
		// struct kvm_run: exit_reason at 8; for I/O, its data's offset at 40.
		if got := binary.LittleEndian.Uint32(state[8:]); got != want {
			return fmt.Errorf("the guest left with reason %d, not %d", got, want)
		}
		if want == kvmExitIO {
			if at := binary.LittleEndian.Uint64(state[40:]); at >= uint64(size) || state[at] != 'k' {
				return errors.New("the guest did not say what it should")
			}
		}
	}
	return nil
}

// setRegisters starts the CPU at the guest: code segment at 0, the instruction
// pointer at guestAddress, and the flag bit that is always set.
func setRegisters(cpu int) error {
	var segments [312]byte // struct kvm_sregs; its first part is cs
	if err := ioctl(cpu, kvmGetSregs, unsafe.Pointer(&segments)); err != nil {
		return fmt.Errorf("read the CPU's segments: %w", err)
	}
	binary.LittleEndian.PutUint64(segments[0:], 0)  // cs.base
	binary.LittleEndian.PutUint16(segments[12:], 0) // cs.selector
	if err := ioctl(cpu, kvmSetSregs, unsafe.Pointer(&segments)); err != nil {
		return fmt.Errorf("set the CPU's segments: %w", err)
	}
	registers := [18]uint64{16: guestAddress, 17: 2} // struct kvm_regs: rip, rflags last
	if err := ioctl(cpu, kvmSetRegs, unsafe.Pointer(&registers)); err != nil {
		return fmt.Errorf("set the CPU's registers: %w", err)
	}
	return nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR: // the Go runtime's own signals
		default:
			return errno
		}
	}
}
