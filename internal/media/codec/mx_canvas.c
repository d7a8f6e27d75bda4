#include "mx.h"
#include "mx_frame.h"
#include "mx_scale.h"

#include <libavutil/error.h>
#include <libyuv.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 8192

struct mx_canvas {
  AVFrame *f;
  AVFrame *scratch; // for blending, made when first needed
  mx_scaler scaler;
};

static AVFrame *new_i420(int w, int h) {
  AVFrame *f = av_frame_alloc();
  if (!f) return NULL;
  f->format = AV_PIX_FMT_YUV420P;
  f->width = w;
  f->height = h;
  f->color_range = AVCOL_RANGE_MPEG;
  f->colorspace = AVCOL_SPC_SMPTE170M;
  if (av_frame_get_buffer(f, 0) < 0) av_frame_free(&f);
  return f;
}

int mx_canvas_new(mx_canvas **out, int w, int h) {
  *out = NULL;
  if (w < 1 || h < 1 || w > MAX_SIDE || h > MAX_SIDE) return AVERROR(EINVAL);
  mx_canvas *c = calloc(1, sizeof *c);
  if (!c) return AVERROR(ENOMEM);
  c->f = new_i420(w, h);
  if (!c->f) {
    free(c);
    return AVERROR(ENOMEM);
  }
  I420Rect(c->f->data[0], c->f->linesize[0], c->f->data[1], c->f->linesize[1], c->f->data[2],
           c->f->linesize[2], 0, 0, w, h, 16, 128, 128);
  *out = c;
  return 0;
}

void mx_canvas_free(mx_canvas *c) {
  if (!c) return;
  av_frame_free(&c->f);
  av_frame_free(&c->scratch);
  mx_scaler_free(&c->scaler);
  free(c);
}

AVFrame *mx_canvas_frame(mx_canvas *c) { return c->f; }

uint8_t *mx_canvas_plane(mx_canvas *c, int i, int *stride, int *rows) {
  if (i < 0 || i > 2) return NULL;
  *stride = c->f->linesize[i];
  *rows = i ? (c->f->height + 1) / 2 : c->f->height;
  return c->f->data[i];
}

int mx_inside(const AVFrame *f, int x, int y, int w, int h) {
  return !((x | y | w | h) & 1) && x >= 0 && y >= 0 && w > 0 && h > 0 && w <= f->width && h <= f->height &&
         x <= f->width - w && y <= f->height - h;
}

static void fill(AVFrame *f, int x, int y, int w, int h, int luma, int cb, int cr) {
  if (w > 0 && h > 0)
    I420Rect(f->data[0], f->linesize[0], f->data[1], f->linesize[1], f->data[2], f->linesize[2], x, y, w, h,
             luma, cb, cr);
}

int mx_canvas_fill(mx_canvas *c, int x, int y, int w, int h, int luma, int cb, int cr) {
  if (!mx_inside(c->f, x, y, w, h) || (luma | cb | cr) & ~255) return AVERROR(EINVAL);
  fill(c->f, x, y, w, h, luma, cb, cr);
  return 0;
}

int mx_canvas_copy(mx_canvas *to, const mx_canvas *from) {
  const AVFrame *s = from->f;
  AVFrame *d = to->f;
  if (s->width != d->width || s->height != d->height) return AVERROR(EINVAL);
  return I420Copy(s->data[0], s->linesize[0], s->data[1], s->linesize[1], s->data[2], s->linesize[2], d->data[0],
                  d->linesize[0], d->data[1], d->linesize[1], d->data[2], d->linesize[2], s->width, s->height)
             ? AVERROR_EXTERNAL
             : 0;
}

typedef struct {
  int x, y, w, h;
} rect;

static int even_at_least_2(int64_t n) { return n < 2 ? 2 : (int)(n & ~(int64_t)1); }

// crop cuts the middle of r so that it has the shape w:h.
static void crop(rect *r, int w, int h) {
  int64_t a = (int64_t)r->w * h, b = (int64_t)r->h * w;
  if (a > b) {
    int n = even_at_least_2(b / h);
    if (n > r->w) n = r->w;
    r->x += ((r->w - n) / 2) & ~1;
    r->w = n;
  } else if (a < b) {
    int n = even_at_least_2(a / w);
    if (n > r->h) n = r->h;
    r->y += ((r->h - n) / 2) & ~1;
    r->h = n;
  }
}

// copy_same copies a picture that has the right size already and reports whether
// it had. For rows this short memcpy beats what libyuv takes.
static int copy_same(const mx_i420 *from, const mx_i420 *to) {
  if (from->w != to->w || from->h != to->h) return 0;
  for (int i = 0; i < 3; i++) {
    int w = i ? to->w / 2 : to->w, h = i ? to->h / 2 : to->h;
    for (int y = 0; y < h; y++) memcpy(to->p[i] + y * to->stride[i], from->p[i] + y * from->stride[i], w);
  }
  return 1;
}

// scale draws the part s of src into the part d of dst.
static int scale(mx_scaler *k, AVFrame *dst, rect d, const AVFrame *src, rect s) {
  uint8_t *sy = src->data[0] + s.y * src->linesize[0] + s.x;
  uint8_t *su = src->data[1] + s.y / 2 * src->linesize[1] + s.x / 2;
  uint8_t *sv = src->data[2] + s.y / 2 * src->linesize[2] + s.x / 2;
  uint8_t *dy = dst->data[0] + d.y * dst->linesize[0] + d.x;
  uint8_t *du = dst->data[1] + d.y / 2 * dst->linesize[1] + d.x / 2;
  uint8_t *dv = dst->data[2] + d.y / 2 * dst->linesize[2] + d.x / 2;
  mx_i420 from = {{sy, su, sv}, {src->linesize[0], src->linesize[1], src->linesize[2]}, s.w, s.h};
  mx_i420 to = {{dy, du, dv}, {dst->linesize[0], dst->linesize[1], dst->linesize[2]}, d.w, d.h};
  from = mx_halve(k, from, to.w, to.h);
  if (!copy_same(&from, &to) && !mx_scale_fast(k, &from, &to) &&
      I420Scale(from.p[0], from.stride[0], from.p[1], from.stride[1], from.p[2], from.stride[2], from.w, from.h, dy,
                dst->linesize[0], du, dst->linesize[1], dv, dst->linesize[2], d.w, d.h, kFilterBox))
    return AVERROR_EXTERNAL;
  int full = src->format == AV_PIX_FMT_YUVJ420P || src->color_range == AVCOL_RANGE_JPEG;
  int bt709 = src->colorspace == AVCOL_SPC_BT709;
  if (full || bt709) mx_recolour(dst, d.x, d.y, d.w, d.h, full, bt709);
  return 0;
}

static void blend_plane(uint8_t *d, int ds, const uint8_t *s, int ss, int w, int h, int alpha) {
  for (int y = 0; y < h; y++, d += ds, s += ss)
    for (int x = 0; x < w; x++) d[x] = (uint8_t)((s[x] * alpha + d[x] * (256 - alpha) + 128) >> 8);
}

// draw scales src into r of dst, cropped or with black bars.
static int draw(mx_scaler *k, AVFrame *dst, rect r, const AVFrame *src, int fit) {
  rect s = {0, 0, src->width, src->height};
  if (!fit) {
    crop(&s, r.w, r.h);
    return scale(k, dst, r, src, s);
  }
  rect d = r;
  crop(&d, s.w, s.h);
  fill(dst, r.x, r.y, r.w, d.y - r.y, 16, 128, 128);
  fill(dst, r.x, d.y + d.h, r.w, r.y + r.h - d.y - d.h, 16, 128, 128);
  fill(dst, r.x, d.y, d.x - r.x, d.h, 16, 128, 128);
  fill(dst, d.x + d.w, d.y, r.x + r.w - d.x - d.w, d.h, 16, 128, 128);
  return scale(k, dst, d, src, s);
}

static int draw_frame(mx_canvas *c, const AVFrame *src, int x, int y, int w, int h, int fit, int alpha) {
  if (!src || alpha < 0 || alpha > 256 || !mx_inside(c->f, x, y, w, h)) return AVERROR(EINVAL);
  rect r = {x, y, w, h};
  if (alpha == 256) return draw(&c->scaler, c->f, r, src, fit);
  if (!c->scratch && !(c->scratch = new_i420(c->f->width, c->f->height))) return AVERROR(ENOMEM);
  int e = draw(&c->scaler, c->scratch, r, src, fit);
  if (e < 0) return e;
  for (int i = 0; i < 3; i++) {
    int k = i ? 1 : 0, ds = c->f->linesize[i], ss = c->scratch->linesize[i];
    blend_plane(c->f->data[i] + (y >> k) * ds + (x >> k), ds, c->scratch->data[i] + (y >> k) * ss + (x >> k), ss,
                w >> k, h >> k, alpha);
  }
  return 0;
}

int mx_draw_dec(mx_canvas *c, const mx_dec *d, int x, int y, int w, int h, int fit, int alpha) {
  return draw_frame(c, mx_dec_frame(d), x, y, w, h, fit, alpha);
}

int mx_draw_canvas(mx_canvas *c, const mx_canvas *s, int x, int y, int w, int h, int fit, int alpha) {
  if (c == s || s->f->width < 2 || s->f->height < 2) return AVERROR(EINVAL);
  return draw_frame(c, s->f, x, y, w, h, fit, alpha);
}

int mx_canvas_rgba(mx_canvas *c, const uint8_t *rgba, int size, int stride) {
  AVFrame *f = c->f;
  if (!rgba || stride < f->width * 4 || (int64_t)stride * (f->height - 1) + f->width * 4 > size)
    return AVERROR(EINVAL);
  // libyuv names formats by word: bytes R, G, B, A are its ABGR.
  return ABGRToI420(rgba, stride, f->data[0], f->linesize[0], f->data[1], f->linesize[1], f->data[2],
                    f->linesize[2], f->width, f->height)
             ? AVERROR_EXTERNAL
             : 0;
}
