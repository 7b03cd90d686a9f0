package docker

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loops are the loop devices whose own name has the lab's, where the engine's
// kernel is this machine's.
func loops(name string) []string {
	var left []string
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range files {
		dev := "/dev/" + strings.Split(file, "/")[3]
		f, err := os.Open(dev)
		if err != nil {
			continue // not for us, or gone
		}
		info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
		f.Close()
		if err == nil && strings.Contains(string(info.File_name[:]), "/"+name+"/") {
			left = append(left, dev)
		}
	}
	return left
}
