#include "mx.h"
#include "mx_frame.h"

#include <libavutil/error.h>
#include <libyuv.h>

int mx_canvas_rows(mx_canvas *c, int y, const uint8_t *rgba, int size, int stride, int rows) {
  AVFrame *f = mx_canvas_frame(c);
  if (!rgba || y < 0 || y & 1 || rows < 1 || rows > f->height || y > f->height - rows ||
      (rows & 1 && y + rows != f->height) || stride < f->width * 4 ||
      (int64_t)stride * (rows - 1) + f->width * 4 > size)
    return AVERROR(EINVAL);
  // libyuv names formats by word: bytes R, G, B, A are its ABGR.
  return ABGRToI420(rgba, stride, f->data[0] + y * f->linesize[0], f->linesize[0],
                    f->data[1] + y / 2 * f->linesize[1], f->linesize[1], f->data[2] + y / 2 * f->linesize[2],
                    f->linesize[2], f->width, rows)
             ? AVERROR_EXTERNAL
             : 0;
}

int mx_canvas_blit(mx_canvas *to, const mx_canvas *from, int x, int y, int w, int h) {
  AVFrame *d = mx_canvas_frame(to);
  const AVFrame *s = mx_canvas_frame((mx_canvas *)from);
  if (to == from || s->width != d->width || s->height != d->height || !mx_inside(d, x, y, w, h))
    return AVERROR(EINVAL);
  for (int i = 0; i < 3; i++) {
    int k = i ? 1 : 0, ss = s->linesize[i], ds = d->linesize[i];
    CopyPlane(s->data[i] + (y >> k) * ss + (x >> k), ss, d->data[i] + (y >> k) * ds + (x >> k), ds, w >> k,
              h >> k);
  }
  return 0;
}

// mix blends s over d with alpha 0..255.
static inline uint8_t mix(int d, int s, int alpha) {
  int v = d * (255 - alpha) + s * alpha + 127;
  return (uint8_t)((v + (v >> 8) + 1) >> 8);
}

int mx_canvas_stamp(mx_canvas *c, const mx_canvas *pic, const uint8_t *mask, int size, int x, int y) {
  AVFrame *d = mx_canvas_frame(c);
  const AVFrame *s = mx_canvas_frame((mx_canvas *)pic);
  int w = s->width, h = s->height;
  if (c == pic || !mask || !mx_inside(d, x, y, w, h) || (int64_t)w * h > size) return AVERROR(EINVAL);
  for (int j = 0; j < h; j++) {
    uint8_t *o = d->data[0] + (y + j) * d->linesize[0] + x;
    const uint8_t *i = s->data[0] + j * s->linesize[0], *m = mask + j * w;
    for (int k = 0; k < w; k++) o[k] = mix(o[k], i[k], m[k]);
  }
  for (int p = 1; p < 3; p++)
    for (int j = 0; j < h / 2; j++) {
      uint8_t *o = d->data[p] + (y / 2 + j) * d->linesize[p] + x / 2;
      const uint8_t *i = s->data[p] + j * s->linesize[p], *m = mask + 2 * j * w;
      for (int k = 0; k < w / 2; k++, m += 2) o[k] = mix(o[k], i[k], (m[0] + m[1] + m[w] + m[w + 1] + 2) >> 2);
    }
  return 0;
}
