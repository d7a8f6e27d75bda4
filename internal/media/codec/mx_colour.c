#include "mx_frame.h"

static inline uint8_t clamp8(int v) { return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v; }

// narrow maps full-range samples to limited range: luma 0..255 to 16..235,
// chroma to 16..240 around 128.
static void narrow(uint8_t *p, int stride, int w, int h, int chroma) {
  for (int y = 0; y < h; y++, p += stride)
    for (int x = 0; x < w; x++)
      p[x] = chroma ? (uint8_t)(((p[x] - 128) * 224 + 128 * 255 + 127) / 255)
                    : (uint8_t)((p[x] * 219 + 127) / 255 + 16);
}

// BT.709 to BT.601 on limited-range samples, in 1/65536:
//   Y += 0.09931 Cb + 0.19170 Cr, Cb = 0.98985 Cb - 0.11065 Cr,
//   Cr = -0.07245 Cb + 0.98340 Cr,
// that is the 601 matrix times the inverse of the 709 matrix.
static void to601(AVFrame *f, int x, int y, int w, int h) {
  for (int j = 0; j < h / 2; j++) {
    uint8_t *l0 = f->data[0] + (y + 2 * j) * f->linesize[0] + x, *l1 = l0 + f->linesize[0];
    uint8_t *cb = f->data[1] + (y / 2 + j) * f->linesize[1] + x / 2;
    uint8_t *cr = f->data[2] + (y / 2 + j) * f->linesize[2] + x / 2;
    for (int i = 0; i < w / 2; i++) {
      int u = cb[i] - 128, v = cr[i] - 128;
      int dy = (6508 * u + 12563 * v + 32768) >> 16;
      l0[2 * i] = clamp8(l0[2 * i] + dy);
      l0[2 * i + 1] = clamp8(l0[2 * i + 1] + dy);
      l1[2 * i] = clamp8(l1[2 * i] + dy);
      l1[2 * i + 1] = clamp8(l1[2 * i + 1] + dy);
      cb[i] = clamp8(128 + ((64871 * u - 7252 * v + 32768) >> 16));
      cr[i] = clamp8(128 + ((-4748 * u + 64448 * v + 32768) >> 16));
    }
  }
}

void mx_recolour(AVFrame *f, int x, int y, int w, int h, int full_range, int bt709) {
  if (full_range) {
    narrow(f->data[0] + y * f->linesize[0] + x, f->linesize[0], w, h, 0);
    narrow(f->data[1] + y / 2 * f->linesize[1] + x / 2, f->linesize[1], w / 2, h / 2, 1);
    narrow(f->data[2] + y / 2 * f->linesize[2] + x / 2, f->linesize[2], w / 2, h / 2, 1);
  }
  if (bt709) to601(f, x, y, w, h);
}
