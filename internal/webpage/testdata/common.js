// A millisecond clock as a bar of 32 bits, and a beep at every whole second.
const now = () => performance.timeOrigin + performance.now();
const Q = new URLSearchParams(location.search);
const FREQ = +(Q.get('f') || 1000);
function bar(where) {
  const c = document.createElement('canvas'); c.width = 32; c.height = 1;
  c.style.cssText = `position:fixed;left:0;${where}:0;width:100vw;height:24px;image-rendering:pixelated;z-index:9;`;
  document.body.appendChild(c);
  const x = c.getContext('2d', {willReadFrequently: true});
  return ms => {
    const v = Math.floor(ms) % 16000000, k = 0x5a ^ (v & 255) ^ ((v >> 8) & 255) ^ ((v >> 16) & 255);
    const im = x.createImageData(32, 1);
    for (let i = 0; i < 32; i++) {
      const g = (i < 24 ? (v >> (23 - i)) & 1 : (k >> (31 - i)) & 1) ? 255 : 0;
      im.data[i * 4] = im.data[i * 4 + 1] = im.data[i * 4 + 2] = g; im.data[i * 4 + 3] = 255;
    }
    x.putImageData(im, 0, 0);
  };
}
function beeper() {
  const ac = new AudioContext({latencyHint: 'interactive'});
  let next = 0;
  setInterval(() => {
    if (ac.state !== 'running') { ac.resume(); return; }
    const o = ac.getOutputTimestamp(), n = now(), s = Math.ceil((n + 150) / 1000) * 1000;
    if (s <= next) return;
    const t = o.contextTime + ((s - performance.timeOrigin) - o.performanceTime) / 1000;
    if (t < ac.currentTime) return;
    next = s;
    const os = ac.createOscillator(), g = ac.createGain();
    os.frequency.value = FREQ;
    g.gain.setValueAtTime(0, t); g.gain.linearRampToValueAtTime(0.5, t + 0.001);
    g.gain.setValueAtTime(0.5, t + 0.059); g.gain.linearRampToValueAtTime(0, t + 0.06);
    os.connect(g).connect(ac.destination); os.start(t); os.stop(t + 0.07);
  }, 100);
}
