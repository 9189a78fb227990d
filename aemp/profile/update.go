package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	backupSuffix = "~"
	// newSuffix is that of the file in the making, which is the lock as well.
	// It differs from the one that Perl's tool uses, which does not lock: the
	// two never write to the same file.
	newSuffix = "~new"
)

// Update changes a file: it reads it, calls edit, and, if something has changed,
// replaces it at once as a whole. The former content stays as FILE~. Both can be
// read by their owner only, since they hold secrets.
//
// Updates of one file wait for each other, also between processes; ctx bounds
// that. If edit fails, or anything else, the file stays as it was. A file that
// is broken is never replaced. An empty path means [Path].
func Update(ctx context.Context, path string, edit func(*File) error) error {
	return update(ctx, path, edit, (*os.File).Write)
}

func update(ctx context.Context, path string, edit func(*File) error, write func(*os.File, []byte) (int, error)) (err error) {
	if path == "" {
		path = Path()
	}
	// What is behind a symbolic link is to be replaced, not the link.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	// A broken file, or none to be found, is told before anything is made.
	if _, err := Load(path); err != nil {
		return err
	}
	next, err := lock(ctx, path+newSuffix)
	if err != nil {
		return fmt.Errorf("profile: change %s: %w", path, err)
	}
	replaced := false
	defer func() {
		if !replaced { // while it is locked, so that it is ours
			os.Remove(next.Name())
		}
		next.Close()
	}()
	file, err := Load(path)
	if err != nil {
		return err
	}
	if err := edit(file); err != nil {
		return err
	}
	if !file.dirty {
		return nil
	}
	if file.root.find("version") == nil {
		file.root.set("version", json.Number(strconv.Itoa(fileVersion)))
	}
	text := file.Bytes()
	if _, err := Parse(text); err != nil { // it would lock out its owner
		return fmt.Errorf("profile: change %s: the result would be broken: %w", path, err)
	}
	if err := fill(next, text, write); err != nil {
		return fmt.Errorf("profile: write: %w", err)
	}
	if err := backup(path); err != nil {
		return fmt.Errorf("profile: backup: %w", err)
	}
	if closeToRename {
		next.Close()
	}
	if err := os.Rename(next.Name(), path); err != nil {
		return fmt.Errorf("profile: replace: %w", err)
	}
	replaced = true
	syncDir(filepath.Dir(path))
	return nil
}

// fill writes the file and makes sure that it is on the disk.
func fill(f *os.File, text []byte, write func(*os.File, []byte) (int, error)) error {
	if err := f.Truncate(0); err != nil { // left over by a crash
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if _, err := write(f, text); err != nil {
		return err
	}
	return f.Sync()
}

// backup makes FILE~ another name of the file that is about to be replaced.
func backup(path string) error {
	former := path + backupSuffix
	if err := os.Remove(former); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := os.Link(path, former)
	switch {
	case errors.Is(err, fs.ErrNotExist): // there is none yet
		return nil
	case err != nil: // no hard links here
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(former, text, 0o600)
	}
	return os.Chmod(former, 0o600)
}

// syncDir makes the new name durable. What cannot do that does it anyway, or
// never.
func syncDir(path string) {
	if d, err := os.Open(path); err == nil {
		d.Sync()
		d.Close()
	}
}

// lock opens the file in the making and waits until nobody else has it. Who
// waited for a file that was renamed or removed meanwhile takes the next.
func lock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f)
		if err == nil && locked && isAt(f, path) {
			return f, nil
		}
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if locked {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another program is changing it (%s is locked): %w", path, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func isAt(f *os.File, path string) bool {
	ours, err1 := f.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(ours, there)
}
