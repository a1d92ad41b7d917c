// Package lines is what the Go drivers share: their arguments, the commands they read, the lines
// they say. The language is described in ../../src/lib.rs.
package lines

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Arguments are the name=value words of the command line.
type Arguments map[string]string

// Member is one consumer of a group.
type Member interface {
	// Commit writes these positions.
	Commit(positions map[int32]int64) error
	// Close closes the client as it wants to be closed.
	Close() error
}

// Tool runs commands; it says its lines itself.
type Tool func(verb string, words []string) error

var out sync.Mutex

// Say writes one line.
func Say(words ...any) {
	out.Lock()
	defer out.Unlock()
	fmt.Println(words...)
}

// Main runs the role that the command line names.
func Main(member func(Arguments, *Positions) (Member, error), tool func(Arguments) (Tool, error)) {
	args := Arguments{}
	for _, word := range os.Args[2:] {
		name, value, _ := strings.Cut(word, "=")
		args[name] = value
	}
	var err error
	if os.Args[1] == "member" {
		err = runMember(args, member)
	} else {
		err = runTool(args, tool)
	}
	if err != nil {
		Say("error", oneLine(err))
		os.Exit(1)
	}
}

func runMember(args Arguments, open func(Arguments, *Positions) (Member, error)) error {
	positions := &Positions{offsets: map[int32]int64{}}
	member, err := open(args, positions)
	if err != nil {
		return err
	}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() && commands.Text() != "quit" {
		offsets := positions.all()
		if len(offsets) > 0 {
			if err := member.Commit(offsets); err != nil {
				return err
			}
		}
		Say("committed", writeOffsets(offsets))
	}
	if err := member.Close(); err != nil {
		return err
	}
	Say("closed")
	return nil
}

func runTool(args Arguments, open func(Arguments) (Tool, error)) error {
	tool, err := open(args)
	if err != nil {
		return err
	}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		words := strings.Fields(commands.Text())
		if err := tool(words[0], words[1:]); err != nil {
			Say("error", oneLine(err))
		} else {
			Say("ok")
		}
	}
	return nil
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

// Positions are what a member owns, and where it stands in each partition.
type Positions struct {
	mutex   sync.Mutex
	owned   []int32
	offsets map[int32]int64
}

// Record says a record and moves the position behind it.
func (p *Positions) Record(partition int32, offset int64, key, value []byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.offsets[partition] = offset + 1
	Say("record", partition, offset, string(key), string(value))
}

// Assigned says all that is owned now: what was and these.
func (p *Positions) Assigned(generation int32, more []int32) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.owned = append(p.owned, more...)
	Say("assigned", generation, Parts(p.owned))
}

// Revoked says what is given up and forgets the positions there.
func (p *Positions) Revoked(less []int32) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(less) == 0 {
		return
	}
	Say("revoked", Parts(less))
	p.owned = slices.DeleteFunc(p.owned, func(part int32) bool { return slices.Contains(less, part) })
	for _, part := range less {
		delete(p.offsets, part)
	}
}

func (p *Positions) all() map[int32]int64 {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return maps.Clone(p.offsets)
}

// Parts writes partitions.
func Parts(parts []int32) string {
	if len(parts) == 0 {
		return "-"
	}
	var words []string
	for _, part := range slices.Sorted(slices.Values(parts)) {
		words = append(words, strconv.Itoa(int(part)))
	}
	return strings.Join(words, ",")
}

func writeOffsets(offsets map[int32]int64) string {
	if len(offsets) == 0 {
		return "-"
	}
	var words []string
	for _, part := range slices.Sorted(maps.Keys(offsets)) {
		words = append(words, fmt.Sprintf("%d:%d", part, offsets[part]))
	}
	return strings.Join(words, ",")
}

// ParseOffsets reads OFFSETS, or PARTS with offsets of zero.
func ParseOffsets(word string) map[int32]int64 {
	offsets := map[int32]int64{}
	for _, pair := range strings.Split(word, ",") {
		part, offset, _ := strings.Cut(pair, ":")
		offsets[int32(Number(part))] = Number(offset)
	}
	return offsets
}

// Number reads a number; no word is zero.
func Number(word string) int64 {
	if word == "" {
		return 0
	}
	number, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return number
}

// Session is the member's session timeout.
func (a Arguments) Session() time.Duration {
	return time.Duration(Number(a["session"])) * time.Millisecond
}

// Records calls put with each key and value that a driver produces.
func Records(prefix, count string, put func(key, value string)) {
	for n := range Number(count) {
		put(fmt.Sprintf("k%d", n%50), fmt.Sprintf("%s-%d", prefix, n))
	}
}

// OrDash writes an instance id or its absence.
func OrDash(word *string) string {
	if word == nil || *word == "" {
		return "-"
	}
	return *word
}
