package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"tapedeck/internal/hls"
	"tapedeck/internal/link"
	"tapedeck/internal/media"
	"tapedeck/internal/media/mux/mp4"
	"tapedeck/internal/media/mux/playlist"
	"tapedeck/internal/media/mux/ts"
	"tapedeck/internal/media/mux/webm"
	"tapedeck/internal/session"
	"tapedeck/internal/spool"
)

const (
	extKey   = ".key"
	initMark = "_init" // before the extension of a slice's initialisation
)

// crypt encrypts the slices of a recording (docs/formats/hls.md). A nil *crypt
// leaves them as they are.
type crypt struct {
	key  []byte
	uri  string // of the key, as playlists have it
	file string // name of the file with the key, "" = there is none
}

// newCrypt refuses a recording that is to be encrypted and has no key: nothing
// of it may reach a store in the clear.
func newCrypt(plan session.Plan, key []byte) (*crypt, error) {
	if plan.HLS == nil {
		return nil, nil
	}
	if len(key) != hls.KeyLen {
		return nil, fmt.Errorf("recorder: this recording is to be encrypted and its content key has %d bytes, want %d", len(key), hls.KeyLen)
	}
	c := &crypt{key: bytes.Clone(key), uri: plan.HLS.KeyURI}
	if plan.HLS.KeyFile {
		c.file = stemOf(plan) + extKey
	}
	if c.uri == "" {
		c.uri = c.file
	}
	if c.uri == "" {
		return nil, errors.New("recorder: this recording is to be encrypted and nobody could get its content key")
	}
	return c, nil
}

// contentKey is what a job's slices are encrypted with, if they are.
func contentKey(job link.Job) []byte {
	if job.Private == nil {
		return nil
	}
	return job.Private.ContentKey
}

// tag is the line for what is encrypted under the name of a file.
func (c *crypt) tag(name string) string { return hls.Tag(c.uri, hls.IV(c.key, name)) }

// tags adds to the tags of a slice what players need to decrypt it.
func (c *crypt) tags(name string, tags []string) []string {
	if c == nil {
		return tags
	}
	return append(slices.Clip(tags), c.tag(name))
}

// writer encrypts a slice on its way to out.
func (c *crypt) writer(out io.Writer, name string) (*hls.Writer, error) {
	if c == nil {
		return nil, nil
	}
	return hls.NewWriter(out, c.key, hls.IV(c.key, name))
}

// putKey stores the key beside the recording, where that is wanted, before the
// first slice that needs it.
func (o *Output) putKey() error {
	if o.crypt == nil || o.crypt.file == "" {
		return nil
	}
	return o.aid(spool.Fact{Name: o.crypt.file, Kind: spool.KindKey}, o.crypt.key)
}

// aid stores a file that players need beside the slices, unless it is there. Who
// comes while it is being stored waits: no slice begins before its key is safe.
func (o *Output) aid(f spool.Fact, content []byte) error {
	o.aiding.Lock()
	defer o.aiding.Unlock()
	if o.aids[f.Name] {
		return nil
	}
	info, err := o.dir.Replace(f.Name, content)
	if err != nil {
		return err
	}
	f.Type, f.Unlisted = spool.FactClosed, true
	f.Size, f.SHA256, f.MD5 = info.Size, info.SHA256, info.MD5
	if err := o.append(f); err != nil {
		return err
	}
	o.aids[f.Name] = true
	return nil
}

// aided reports whether aid has stored a file of that name.
func (o *Output) aided(name string) bool {
	o.aiding.Lock()
	defer o.aiding.Unlock()
	return o.aids[name]
}

// encryptedAid is aid for content that is encrypted where slices are.
func (o *Output) encryptedAid(f spool.Fact, content []byte) error {
	if o.crypt == nil {
		return o.aid(f, content)
	}
	var b bytes.Buffer
	w, err := o.crypt.writer(&b, f.Name)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return err
	}
	return o.aid(f, b.Bytes())
}

// setMap names the initialisation of a slice in fragmented MP4 in its tags. A
// part of an encrypted file cannot be decrypted by itself: there it is a file of
// its own.
func (s *Slice) setMap(head []byte) (err error) {
	s.tags, err = s.index.out.mapTags(s.fact(), head)
	return err
}

// mapTags returns the tags of a slice with those that lead to its initialisation.
func (o *Output) mapTags(f spool.Fact, head []byte) ([]string, error) {
	if o.crypt == nil {
		return append(slices.Clip(f.Tags), playlist.Map(f.Name, int64(len(head)))), nil
	}
	tags, err := o.initTags(f, head)
	return withMap(f.Tags, tags), err
}

// behind leaves the initialisation out of what is played of a slice. Encrypted
// slices are played whole: their own initialisation is passed over.
func (s *Slice) behind(head int64) {
	if s.enc == nil {
		s.Tag(playlist.Behind(head, s.Size()))
	}
}

// initTags stores an initialisation of its own for the slice that f tells of and
// returns the tags that lead to it.
func (o *Output) initTags(f spool.Fact, head []byte) ([]string, error) {
	ext := filepath.Ext(f.Name)
	name := strings.TrimSuffix(f.Name, ext) + initMark + ext
	err := o.encryptedAid(spool.Fact{
		Name: name, Kind: spool.KindInit, Track: f.Track, UID: f.UID, Index: f.Index, StartMicro: f.StartMicro,
	}, head)
	return []string{o.crypt.tag(name), playlist.MapFile(name)}, err
}

// mapTS has the playlist say of a recovered slice in TS how it is read
// (userVideo.declare).
func (o *Output) mapTS(f *spool.Fact) (err error) {
	if filepath.Ext(f.Name) == extTS && !slices.ContainsFunc(f.Tags, playlist.IsMap) {
		f.Tags, err = o.mapTags(*f, (&tsVideo{}).head())
	}
	return err
}

// withMap puts the tags of an initialisation before the key of the slice, which
// counts for what follows it.
func withMap(tags, more []string) []string {
	at := slices.IndexFunc(tags, hls.IsTag)
	return slices.Insert(slices.Clone(tags), max(at, 0), more...)
}

// salvageEncrypted is salvage for a torn slice that was being encrypted.
func (o *Output) salvageEncrypted(p *spool.Part, f *spool.Fact) (media.Time, error) {
	t, err := hls.OpenTorn(p, o.crypt.key, hls.IV(o.crypt.key, f.Name))
	if err != nil {
		return 0, err
	}
	dur, err := o.salvageContent(t, f)
	if err != nil {
		return 0, err
	}
	return dur, t.Close()
}

func (o *Output) salvageContent(t *hls.Torn, f *spool.Fact) (media.Time, error) {
	switch filepath.Ext(f.Name) {
	case extTS:
		return salvageTS(t)
	case extWebM:
		got, err := webm.Cut(t)
		if errors.Is(err, webm.ErrNothing) {
			return 0, errEmpty
		}
		return got.Dur, err
	case extMP4:
		got, size, err := mp4.RecoverFragments(t)
		if errors.Is(err, mp4.ErrNothing) {
			return 0, errEmpty
		}
		if err != nil || slices.ContainsFunc(f.Tags, playlist.IsMap) {
			return got.Dur, err
		}
		head := make([]byte, size)
		if _, err := t.ReadAt(head, 0); err != nil {
			return 0, err
		}
		f.Tags, err = o.mapTags(*f, head)
		return got.Dur, err
	}
	return 0, errEmpty
}

// torn is a file that is cut to what is whole.
type torn interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Size() int64
}

// salvageTS cuts a torn transport stream and returns how long it lasts.
func salvageTS(p torn) (media.Time, error) {
	got, err := ts.Scan(io.NewSectionReader(p, 0, p.Size()))
	if err != nil {
		return 0, err
	}
	if got.Empty() {
		return 0, errEmpty
	}
	if err := p.Truncate(got.Bytes); err != nil {
		return 0, err
	}
	_, err = p.WriteAt(ts.Padding(got.Bytes), got.Bytes)
	return got.Dur(), err
}
