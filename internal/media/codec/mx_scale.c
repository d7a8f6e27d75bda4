// Bilinear scaling by less than two, which libyuv does column by column. Here
// 32 columns at a time go from two rows of the source to the destination without
// leaving registers. What this cannot do is left to libyuv.
#include "mx_scale.h"

#include <libavutil/error.h>
#include <libyuv.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 8            // columns that come from one load
#define SPAN 16            // bytes of the source in one load
#define GROUP (4 * BLOCK)  // columns that are stored together
#define TABLE (8 * SPAN)   // bytes that describe a group

void mx_scaler_free(mx_scaler *s) {
  for (int i = 0; i < MX_COLUMNS; i++) free(s->c[i].data);
  free(s->half[0]);
  free(s->half[1]);
  memset(s, 0, sizeof *s);
}

#if defined(__x86_64__)
#include <immintrin.h>

static int capable(void) { return __builtin_cpu_supports("avx2"); }

// columns makes a row of 16 columns from two loads: samples times 128.
__attribute__((target("avx2"))) static inline __m256i columns(const uint8_t *p, const uint8_t *q, __m256i shuffle,
                                                              __m256i parts) {
  __m256i px = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p));
  px = _mm256_inserti128_si256(px, _mm_loadu_si128((const __m128i *)q), 1);
  return _mm256_maddubs_epi16(_mm256_shuffle_epi8(px, shuffle), parts);
}

// between makes a row of the destination from the rows a and b, of which b has
// frac/256.
__attribute__((target("avx2"))) static void between(const mx_columns *c, const uint8_t *a, const uint8_t *b, int frac,
                                                    uint8_t *out) {
  const __m256i lower = _mm256_set1_epi16((short)(frac << 7)), round = _mm256_set1_epi16(1 << 8);
  const uint8_t *table = c->data;
  const int *at = c->at, last = c->dw - GROUP;
  for (int x = 0, i = 0; i < c->groups; i++, at += 4, table += TABLE, x += GROUP) {
    const __m256i *t = (const __m256i *)table;
    __m256i px[2];
    for (int k = 0; k < 2; k++) { // the packing below puts the lanes in order
      __m256i shuffle = _mm256_loadu_si256(t + k), parts = _mm256_loadu_si256(t + 2 + k);
      __m256i up = columns(a + at[k], a + at[k + 2], shuffle, parts);
      __m256i low = columns(b + at[k], b + at[k + 2], shuffle, parts);
      up = _mm256_add_epi16(up, _mm256_mulhrs_epi16(_mm256_sub_epi16(low, up), lower));
      px[k] = _mm256_mulhrs_epi16(up, round); // by 128
    }
    _mm256_storeu_si256((__m256i *)(out + (x < last ? x : last)), _mm256_packus_epi16(px[0], px[1]));
  }
}
#else
static int capable(void) { return 0; }
static void between(const mx_columns *c, const uint8_t *a, const uint8_t *b, int frac, uint8_t *out) {}
#endif

// prepare works out which two columns of the source make each column of the
// destination, and in which parts. Positions are those of pixel centres. The
// last group ends with the last column and makes some of those before it again.
static int prepare(mx_columns *c, int sw, int dw) {
  int groups = (dw + GROUP - 1) / GROUP;
  uint8_t *data = calloc(groups, TABLE + 4 * sizeof(int));
  if (!data) return AVERROR(ENOMEM);
  free(c->data);
  *c = (mx_columns){.sw = sw, .dw = dw, .groups = groups, .data = data, .at = (int *)(data + groups * TABLE)};
  for (int b = 0; b < 4 * groups; b++) {
    int first = b / 4 * GROUP, lane = (b % 2 * 2 + b % 4 / 2) * SPAN;
    uint8_t *shuffle = data + b / 4 * TABLE + lane, *part = shuffle + TABLE / 2;
    if (first > dw - GROUP) first = dw - GROUP;
    for (int i = 0; i < BLOCK; i++) {
      int x = first + b % 4 * BLOCK + i;
      int64_t pos = ((int64_t)(2 * x + 1) * sw * 64 + dw / 2) / dw - 64; // in 1/128 of a column
      if (pos < 0) pos = 0;
      int left = (int)(pos >> 7), frac = (int)(pos & 127);
      if (left >= sw - 1) left = sw - 1, frac = 0;
      if (i == 0) c->at[b] = left < sw - SPAN ? left : sw - SPAN; // nothing is read behind a row
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

static const mx_columns *find(mx_scaler *s, int sw, int dw) {
  for (int i = 0; i < MX_COLUMNS; i++)
    if (s->c[i].sw == sw && s->c[i].dw == dw) return &s->c[i];
  mx_columns *c = &s->c[s->next];
  s->next = (s->next + 1) % MX_COLUMNS;
  return prepare(c, sw, dw) < 0 ? NULL : c;
}

static int plane(mx_scaler *s, const uint8_t *src, int ss, int sw, int sh, uint8_t *dst, int ds, int dw, int dh) {
  const mx_columns *c = find(s, sw, dw);
  if (!c) return 0;
  for (int y = 0; y < dh; y++, dst += ds) {
    int64_t pos = ((int64_t)(2 * y + 1) * sh * 128 + dh / 2) / dh - 128; // in 1/256 of a row
    if (pos < 0) pos = 0;
    int top = (int)(pos >> 8), frac = (int)(pos & 255);
    if (top >= sh - 1) top = sh - 1, frac = 0;
    const uint8_t *a = src + (ptrdiff_t)top * ss;
    between(c, a, frac ? a + ss : a, frac, dst);
  }
  return 1;
}

int mx_scale_fast(mx_scaler *s, const mx_i420 *from, const mx_i420 *to) {
  int sw = from->w, sh = from->h, dw = to->w, dh = to->h;
  // Between half and full width, and not so much lower that rows are left out.
  if (!capable() || dw >= sw || 7 * sw > 13 * dw - 7 || sh >= 2 * dh || dw < 2 * GROUP) return 0;
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
