package pulse

import (
	"time"
)

// Commands (native-common.h).
const (
	cmdError             = 0
	cmdReply             = 2
	cmdCreate            = 3
	cmdDelete            = 4
	cmdAuth              = 8
	cmdClientName        = 9
	cmdLookupSink        = 10
	cmdLookupSource      = 11
	cmdLatency           = 14
	cmdServerInfo        = 20
	cmdSink              = 21
	cmdSinks             = 22
	cmdSource            = 23
	cmdSources           = 24
	cmdModules           = 26
	cmdClients           = 28
	cmdInputs            = 30
	cmdOutputs           = 32
	cmdSubscribe         = 35
	cmdSinkVolume        = 36
	cmdInputVolume       = 37
	cmdCork              = 41
	cmdFlush             = 42
	cmdTrigger           = 43
	cmdName              = 46
	cmdPrebuf            = 60
	cmdRequest           = 61
	cmdInputMute         = 69
	cmdAttributes        = 72
	cmdStreamProps       = 81
	cmdClientProps       = 82
	cmdStarted           = 86
	cmdDrain             = 12
	errNoEntity          = 5
	errNotSupported      = 19
	sinkName             = "recording"
	sinkDescription      = "Recording"
	serverIndex          = 0
	ownFormat            = formatF32LE
	ownChannels     byte = 2
)

func card() spec { return spec{ownFormat, ownChannels, Rate} }

// command answers one command of the browser.
func (c *client) command(cmd, tag uint32, r *reader) {
	w := message(cmdReply, tag)
	switch cmd {
	case cmdAuth:
		w.u32(version) // without the bits that offer shared memory
	case cmdClientName:
		w.u32(1)
	case cmdServerInfo:
		serverInfo(w)
	case cmdSink, cmdSinks:
		sinkInfo(w)
	case cmdLookupSink:
		w.u32(0)
	case cmdSources, cmdModules, cmdClients, cmdInputs, cmdOutputs, cmdSubscribe, cmdSinkVolume, cmdInputVolume,
		cmdInputMute, cmdName, cmdStreamProps, cmdClientProps, cmdDrain:
		// nothing to tell, nothing to do
	case cmdCreate:
		c.create(tag, r)
		return
	case cmdDelete, cmdCork, cmdFlush, cmdTrigger, cmdPrebuf, cmdLatency, cmdAttributes:
		st := c.streams[r.u32()]
		if st == nil {
			c.refuse(tag, errNoEntity)
			return
		}
		c.streamCommand(st, cmd, r, w)
	case cmdSource, cmdLookupSource:
		c.refuse(tag, errNoEntity)
		return
	default:
		c.refuse(tag, errNotSupported)
		return
	}
	c.send(w.b)
}

func (c *client) refuse(tag, code uint32) {
	w := message(cmdError, tag)
	w.u32(code)
	c.send(w.b)
}

func serverInfo(w *writer) {
	w.text("tapedeck")
	w.text("1.0")
	w.text("recording")
	w.text("recording")
	w.spec(card())
	w.text(sinkName)
	w.text(sinkName + ".monitor")
	w.u32(1)
}

func sinkInfo(w *writer) {
	w.u32(0)
	w.text(sinkName)
	w.text(sinkDescription)
	w.spec(card())
	w.channels(ownChannels)
	w.u32(none) // module
	w.volumes(ownChannels)
	w.flag(false) // muted
	w.u32(none)   // monitor
	w.null()
	w.usec(0) // latency
	w.text("tapedeck")
	w.u32(2 | 0x20) // latency is known; flat volume
	w.noProps()
	w.usec(0)
}

// create makes a playback stream.
func (c *client) create(tag uint32, r *reader) {
	format := r.spec()
	r.channelMap()
	r.u32()  // sink
	r.text() // its name
	r.u32()  // maxlength: ours is bounded anyway
	corked := r.flag()
	a := attributes{target: r.u32(), prebuf: r.u32(), min: r.u32()}
	if r.bad {
		return
	}
	if format.rate != Rate || format.channels < 1 || format.channels > 8 || format.size() == 0 {
		c.s.cfg.Log.Warn("the browser plays sound in a form that is not taken", "format", format.format, "channels", format.channels, "rate", format.rate)
		c.refuse(tag, errNotSupported)
		return
	}
	st := &stream{c: c, id: c.s.serial, format: format, corked: corked}
	st.attributes = a.within(format)
	c.s.serial++
	c.streams[st.id] = st
	c.s.streams[st] = struct{}{}
	st.asked = int64(st.target)

	w := message(cmdReply, tag)
	w.u32(st.id)
	w.u32(st.id)
	w.u32(st.target)
	st.tell(w)
	w.spec(format)
	w.channels(format.channels)
	w.u32(0)
	w.text(sinkName)
	w.flag(false)
	w.usec(0)
	c.send(w.b)
}

func (c *client) streamCommand(st *stream, cmd uint32, r *reader, w *writer) {
	switch cmd {
	case cmdDelete:
		delete(c.streams, st.id)
		delete(c.s.streams, st)
	case cmdCork:
		st.cork(r.flag())
	case cmdFlush:
		st.flush()
	case cmdTrigger:
		st.start(c.s.cfg.Clock())
	case cmdPrebuf:
		st.running = false
	case cmdAttributes:
		r.u32()
		st.attributes = attributes{target: r.u32(), prebuf: r.u32(), min: r.u32()}.within(st.format)
		st.tell(w)
		w.usec(0)
		st.request()
	case cmdLatency:
		sec, usec := r.time()
		st.timing(w, sec, usec)
	}
}

// timing answers when what is written now will be heard.
func (st *stream) timing(w *writer, sec, usec uint32) {
	now := time.Now()
	played := st.read
	if st.running {
		ahead := (st.c.s.cfg.Clock() - st.at) * int64(st.format.size())
		played = min(st.written, played+max(0, ahead))
	}
	w.usec(0) // from the buffer to the recording: nothing
	w.usec(0)
	w.flag(st.running)
	w.time(sec, usec)
	w.time(uint32(now.Unix()), uint32(now.Nanosecond()/1000))
	w.s64(st.written)
	w.s64(played)
	w.u64(0)
	w.u64(uint64(max(0, st.read/int64(st.format.size())*1_000_000/Rate)))
}
