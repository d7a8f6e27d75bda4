#include "mx.h"
#include "mx_frame.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <libyuv.h>
#include <stdlib.h>
#include <string.h>

// A stream that claims to be larger is refused: what a room sends is untrusted
// and a worker has a memory budget.
#define MAX_PIXELS (4096 * 4096)
#define MAX_PACKET (32 << 20)

struct mx_dec {
  AVCodecContext *c;
  AVPacket *pkt;
  AVFrame *cur, *tmp, *conv;
};

void mx_quiet(void) { av_log_set_level(AV_LOG_QUIET); }

void mx_error_text(int code, char *buf, int size) { av_strerror(code, buf, size); }

void mx_free(void *p) { free(p); }

static const AVCodec *find_decoder(int codec) {
  switch (codec) {
  case MX_H264: return avcodec_find_decoder_by_name("h264");
  case MX_H265: return avcodec_find_decoder_by_name("hevc");
  case MX_VP8: return avcodec_find_decoder_by_name("vp8");
  case MX_VP9: return avcodec_find_decoder_by_name("vp9");
  case MX_AV1: return avcodec_find_decoder_by_name("libdav1d");
  }
  return NULL;
}

int mx_dec_open(mx_dec **out, int codec) {
  mx_quiet();
  *out = NULL;
  const AVCodec *k = find_decoder(codec);
  if (!k) return AVERROR_DECODER_NOT_FOUND;
  mx_dec *d = calloc(1, sizeof *d);
  if (!d) return AVERROR(ENOMEM);
  d->c = avcodec_alloc_context3(k);
  d->pkt = av_packet_alloc();
  d->cur = av_frame_alloc();
  d->tmp = av_frame_alloc();
  d->conv = av_frame_alloc();
  int r = AVERROR(ENOMEM);
  if (d->c && d->pkt && d->cur && d->tmp && d->conv) {
    // Threads gain nothing on WebRTC streams and frame threads add delay.
    d->c->thread_count = 1;
    d->c->thread_type = 0;
    d->c->flags |= AV_CODEC_FLAG_LOW_DELAY;
    d->c->max_pixels = MAX_PIXELS;
    AVDictionary *o = NULL;
    if (codec == MX_AV1) av_dict_set(&o, "max_frame_delay", "1", 0);
    r = avcodec_open2(d->c, k, &o);
    av_dict_free(&o);
  }
  if (r < 0) {
    mx_dec_free(d);
    return r;
  }
  *out = d;
  return 0;
}

// to_i420 converts the rare formats: 4:2:2 and 4:4:4 screen shares, 10 bit, grey.
static int to_i420(const AVFrame *s, AVFrame *o) {
  int w = s->width, h = s->height;
  const uint8_t *const *p = (const uint8_t *const *)s->data;
  const uint16_t *q[3] = {(const uint16_t *)p[0], (const uint16_t *)p[1], (const uint16_t *)p[2]};
  const int *l = s->linesize;
  int l2[3] = {l[0] / 2, l[1] / 2, l[2] / 2}; // strides in 16-bit samples
#define DST o->data[0], o->linesize[0], o->data[1], o->linesize[1], o->data[2], o->linesize[2], w, h
  switch (s->format) {
  case AV_PIX_FMT_YUV422P:
  case AV_PIX_FMT_YUVJ422P: return I422ToI420(p[0], l[0], p[1], l[1], p[2], l[2], DST);
  case AV_PIX_FMT_YUV444P:
  case AV_PIX_FMT_YUVJ444P: return I444ToI420(p[0], l[0], p[1], l[1], p[2], l[2], DST);
  case AV_PIX_FMT_YUV420P10LE: return I010ToI420(q[0], l2[0], q[1], l2[1], q[2], l2[2], DST);
  case AV_PIX_FMT_YUV422P10LE: return I210ToI420(q[0], l2[0], q[1], l2[1], q[2], l2[2], DST);
  case AV_PIX_FMT_YUV444P10LE: return I410ToI420(q[0], l2[0], q[1], l2[1], q[2], l2[2], DST);
  case AV_PIX_FMT_NV12: return NV12ToI420(p[0], l[0], p[1], l[1], DST);
  case AV_PIX_FMT_GRAY8: return I400ToI420(p[0], l[0], DST);
  }
#undef DST
  return AVERROR_PATCHWELCOME;
}

static int full_range(const AVFrame *f) {
  switch (f->format) {
  case AV_PIX_FMT_YUVJ420P:
  case AV_PIX_FMT_YUVJ422P:
  case AV_PIX_FMT_YUVJ444P: return 1;
  }
  return f->color_range == AVCOL_RANGE_JPEG;
}

// keep makes d->tmp the newest picture.
static int keep(mx_dec *d) {
  AVFrame *t = d->tmp;
  if (t->width < 2 || t->height < 2) return AVERROR_INVALIDDATA;
  if (t->format == AV_PIX_FMT_YUV420P || t->format == AV_PIX_FMT_YUVJ420P) {
    av_frame_unref(d->cur);
    av_frame_move_ref(d->cur, t);
    return 0;
  }
  AVFrame *c = d->conv;
  av_frame_unref(c);
  c->format = AV_PIX_FMT_YUV420P;
  c->width = t->width;
  c->height = t->height;
  c->colorspace = t->colorspace;
  c->color_range = full_range(t) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  int r = av_frame_get_buffer(c, 0);
  if (r < 0) return r;
  r = to_i420(t, c);
  if (r < 0) return r;
  if (r > 0) return AVERROR_EXTERNAL;
  av_frame_unref(d->cur);
  av_frame_move_ref(d->cur, c);
  return 0;
}

// drain takes every finished picture out and keeps the newest.
static int drain(mx_dec *d, int *fresh) {
  for (;;) {
    int r = avcodec_receive_frame(d->c, d->tmp);
    if (r == AVERROR(EAGAIN) || r == AVERROR_EOF) return 0;
    if (r < 0) return r;
    r = keep(d);
    av_frame_unref(d->tmp);
    if (r < 0) return r;
    *fresh = 1;
  }
}

int mx_dec_push(mx_dec *d, const uint8_t *data, int size) {
  if (!data || size <= 0 || size > MAX_PACKET) return AVERROR(EINVAL);
  int r = av_new_packet(d->pkt, size); // a copy with the padding that parsers need
  if (r < 0) return r;
  memcpy(d->pkt->data, data, size);
  int fresh = 0;
  r = avcodec_send_packet(d->c, d->pkt);
  if (r == AVERROR(EAGAIN)) { // output is full: cannot stay so after a drain
    r = drain(d, &fresh);
    if (r >= 0) r = avcodec_send_packet(d->c, d->pkt);
  }
  av_packet_unref(d->pkt);
  int e = drain(d, &fresh);
  if (r >= 0) r = e;
  if (fresh) return 1; // an error beside a new picture is only the next one's trouble
  return r < 0 ? r : 0;
}

void mx_dec_size(const mx_dec *d, int *w, int *h) {
  *w = d->cur->data[0] ? d->cur->width : 0;
  *h = d->cur->data[0] ? d->cur->height : 0;
}

void mx_dec_free(mx_dec *d) {
  if (!d) return;
  avcodec_free_context(&d->c);
  av_packet_free(&d->pkt);
  av_frame_free(&d->cur);
  av_frame_free(&d->tmp);
  av_frame_free(&d->conv);
  free(d);
}

const AVFrame *mx_dec_frame(const mx_dec *d) { return d->cur->data[0] ? d->cur : NULL; }
