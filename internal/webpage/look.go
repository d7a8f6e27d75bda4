package webpage

import (
	"context"
	"encoding/json"
)

// guestScript is run in every document before its own scripts. It gives the page
// navigator.notifyReady (behaviour.md 4.1), and remembers what cannot be found in
// a document afterwards: elements that play without being in it, shadow trees,
// and canvases that got no WebGL. __tapedeckLook tells of them, and of what is in
// frames of the same origin.
const guestScript = `(() => {
const tell = globalThis.__tapedeckReady;
delete globalThis.__tapedeckReady;
Object.defineProperty(Navigator.prototype, 'notifyReady', {value: function () { tell('') }});

const notes = () => {
  const refs = new WeakMap(), all = new Set();
  return {
    add(o) { if (!refs.has(o)) { const r = new WeakRef(o); refs.set(o, r); all.add(r) } },
    drop(o) { all.delete(refs.get(o)); refs.delete(o) },
    * each() { for (const r of all) { const o = r.deref(); if (o) yield o; else all.delete(r) } },
  };
};
const after = (type, name, note) => {
  const inner = type.prototype[name];
  type.prototype[name] = {[name](...args) {
    const got = Reflect.apply(inner, this, args);
    note(this, got, args[0]);
    return got;
  }}[name];
};
const played = notes(), trees = notes(), flat = notes();
after(HTMLMediaElement, 'play', e => played.add(e));
after(Element, 'attachShadow', (e, tree) => trees.add(tree));
after(HTMLCanvasElement, 'getContext', (e, got, kind) => {
  if (got) flat.drop(e);
  else if (/webgl/.test(kind)) flat.add(e);
});
const seen = e => {
  const r = e.getBoundingClientRect();
  return e.checkVisibility() && r.width >= 16 && r.height >= 16 && r.right > 0 && r.bottom > 0 && r.left < innerWidth && r.top < innerHeight;
};
const look = () => {
  const said = {loud: false, big: false, flat: false};
  const media = new Set(played.each());
  for (const tree of [document, ...trees.each()]) for (const e of tree.querySelectorAll('video,audio')) media.add(e);
  for (const m of media) {
    if (!m.paused && !m.ended && !m.muted && m.volume > 0 && m.readyState > 2 && m.webkitAudioDecodedByteCount > 0) said.loud = true;
    if (m.videoWidth * m.videoHeight > 1920 * 1080) said.big = true;
  }
  for (const e of flat.each()) if (seen(e)) said.flat = true;
  for (let i = 0; i < frames.length && i < 100; i++) {
    try {
      const there = frames[i].__tapedeckLook();
      for (const k in said) said[k] ||= !!there[k];
    } catch { /* of another origin */ }
  }
  return said;
};
Object.defineProperty(globalThis, '__tapedeckLook', {value: look});
})()`

// said is what a page tells of itself.
type said struct {
	Loud bool // something should be heard
	Big  bool // a video beyond 1920x1080
	Flat bool // a canvas that is seen wanted WebGL and shows nothing
}

// look asks the page.
func (p *Page) look(ctx context.Context) (v said, err error) {
	var r struct {
		Result struct{ Value json.RawMessage }
	}
	err = p.dt.call(ctx, p.session, "Runtime.evaluate", params{"expression": "globalThis.__tapedeckLook?.() ?? {}", "returnByValue": true}, &r)
	if err == nil {
		err = json.Unmarshal(r.Result.Value, &v)
	}
	return v, err
}
