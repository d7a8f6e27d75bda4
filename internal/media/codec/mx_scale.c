// Bilinear scaling by less than two, which libyuv does column by column. Here
// eight columns at a time come from one shuffle and one multiplication. What
// this cannot do is left to libyuv.
#include "mx_scale.h"

#include <libavutil/error.h>
#include <libyuv.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 8 // columns
#define SPAN 16 // bytes of the source that a block may need

void mx_scaler_free(mx_scaler *s) {
  for (int i = 0; i < MX_COLUMNS; i++) free(s->c[i].data);
  free(s->row);
  free(s->half[0]);
  free(s->half[1]);
  memset(s, 0, sizeof *s);
}

#if defined(__x86_64__)
#include <tmmintrin.h>

static int capable(void) { return __builtin_cpu_supports("ssse3"); }

// across scales one row. The row has SPAN bytes behind its end, out is written
// in whole blocks.
__attribute__((target("ssse3"))) static void across(const mx_columns *c, const uint8_t *row, uint8_t *out) {
  const __m128i half = _mm_set1_epi16(64);
  const uint8_t *p = c->data;
  for (int b = 0; b < c->blocks; b++, p += 2 * SPAN) {
    __m128i px = _mm_loadu_si128((const __m128i *)(row + c->at[b]));
    px = _mm_shuffle_epi8(px, _mm_loadu_si128((const __m128i *)p));
    px = _mm_maddubs_epi16(px, _mm_loadu_si128((const __m128i *)(p + SPAN)));
    px = _mm_srli_epi16(_mm_add_epi16(px, half), 7);
    _mm_storel_epi64((__m128i *)(out + BLOCK * b), _mm_packus_epi16(px, px));
  }
}
#else
static int capable(void) { return 0; }
static void across(const mx_columns *c, const uint8_t *row, uint8_t *out) {}
#endif

// prepare works out which two columns of the source make each column of the
// destination, and in which parts. Positions are those of pixel centres.
static int prepare(mx_columns *c, int sw, int dw) {
  int blocks = (dw + BLOCK - 1) / BLOCK;
  uint8_t *data = calloc(blocks, 2 * SPAN + sizeof(int));
  if (!data) return AVERROR(ENOMEM);
  free(c->data);
  *c = (mx_columns){.sw = sw, .dw = dw, .blocks = blocks, .data = data, .at = (int *)(data + blocks * 2 * SPAN)};
  for (int b = 0; b < blocks; b++) {
    uint8_t *shuffle = data + b * 2 * SPAN, *part = shuffle + SPAN;
    for (int i = 0; i < BLOCK; i++) {
      int x = b * BLOCK + i < dw ? b * BLOCK + i : dw - 1;
      int64_t pos = ((int64_t)(2 * x + 1) * sw * 64 + dw / 2) / dw - 64; // in 1/128 of a column
      if (pos < 0) pos = 0;
      int left = (int)(pos >> 7), frac = (int)(pos & 127);
      if (left >= sw - 1) left = sw - 1, frac = 0;
      if (i == 0) c->at[b] = left;
      int off = left - c->at[b], next = frac ? off + 1 : off;
      if (next >= SPAN) {
        free(c->data);
        memset(c, 0, sizeof *c);
        return AVERROR(EINVAL);
      }
      shuffle[2 * i] = (uint8_t)off;
      shuffle[2 * i + 1] = (uint8_t)next;
      // 128 is no signed byte: a whole pixel is taken in two halves.
      part[2 * i] = frac ? (uint8_t)(128 - frac) : 64;
      part[2 * i + 1] = frac ? (uint8_t)frac : 64;
    }
  }
  return 0;
}

static const mx_columns *columns(mx_scaler *s, int sw, int dw) {
  for (int i = 0; i < MX_COLUMNS; i++)
    if (s->c[i].sw == sw && s->c[i].dw == dw) return &s->c[i];
  mx_columns *c = &s->c[s->next];
  s->next = (s->next + 1) % MX_COLUMNS;
  return prepare(c, sw, dw) < 0 ? NULL : c;
}

static int plane(mx_scaler *s, const uint8_t *src, int ss, int sw, int sh, uint8_t *dst, int ds, int dw, int dh) {
  const mx_columns *c = columns(s, sw, dw);
  if (!c) return 0;
  uint8_t *out = s->row + s->room / 2;
  for (int y = 0; y < dh; y++, dst += ds) {
    int64_t pos = ((int64_t)(2 * y + 1) * sh * 128 + dh / 2) / dh - 128; // in 1/256 of a row
    if (pos < 0) pos = 0;
    int top = (int)(pos >> 8), frac = (int)(pos & 255);
    if (top >= sh - 1) top = sh - 1, frac = 0;
    const uint8_t *a = src + (ptrdiff_t)top * ss, *b = frac ? a + ss : a;
    InterpolatePlane(a, ss, b, ss, s->row, sw, sw, 1, frac);
    across(c, s->row, out);
    memcpy(dst, out, dw);
  }
  return 1;
}

int mx_scale_fast(mx_scaler *s, const mx_i420 *from, const mx_i420 *to) {
  int sw = from->w, sh = from->h, dw = to->w, dh = to->h;
  // Between half and full width, and not so much lower that rows are left out.
  if (!capable() || dw >= sw || 7 * sw > 13 * dw - 7 || sh >= 2 * dh || sw < 2 * SPAN || dw < 2 * BLOCK) return 0;
  int room = 2 * (sw + 2 * SPAN);
  if (s->room < room) {
    uint8_t *row = calloc(1, room);
    if (!row) return 0;
    free(s->row);
    s->row = row;
    s->room = room;
  }
  for (int i = 0; i < 3; i++) {
    int k = i ? 1 : 0;
    if (!plane(s, from->p[i], from->stride[i], (sw + k) >> k, (sh + k) >> k, to->p[i], to->stride[i], dw >> k, dh >> k))
      return 0;
  }
  return 1;
}

mx_i420 mx_halve(mx_scaler *s, mx_i420 from, int w, int h) {
  // A picture of exactly twice the size needs one step, which libyuv does well.
  for (int i = 0; from.w >= 2 * w && from.h >= 2 * h && (from.w > 2 * w || from.h > 2 * h); i = !i) {
    int hw = from.w / 2, hh = from.h / 2, stride = (hw + 63) & ~63, cs = stride / 2, ch = (hh + 1) / 2;
    int room = stride * hh + 2 * cs * ch;
    if (s->half_room[i] < room) {
      uint8_t *p = malloc(room);
      if (!p) return from;
      free(s->half[i]);
      s->half[i] = p;
      s->half_room[i] = room;
    }
    uint8_t *y = s->half[i], *u = y + stride * hh, *v = u + cs * ch;
    mx_i420 to = {{y, u, v}, {stride, cs, cs}, hw, hh};
    if (I420Scale(from.p[0], from.stride[0], from.p[1], from.stride[1], from.p[2], from.stride[2], 2 * hw, 2 * hh, y,
                  stride, u, cs, v, cs, hw, hh, kFilterBox))
      return from;
    from = to;
  }
  return from;
}
