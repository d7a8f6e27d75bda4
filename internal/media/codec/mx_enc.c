#include "mx.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libyuv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mx_enc {
  AVCodecContext *c;
  AVPacket *pkt;
  AVFrame *f;
  int64_t samples; // AAC: samples a channel taken so far
};

static int alloc_enc(mx_enc **out, const char *name, const AVCodec **k) {
  mx_quiet();
  *out = NULL;
  *k = avcodec_find_encoder_by_name(name);
  if (!*k) return AVERROR_ENCODER_NOT_FOUND;
  mx_enc *e = calloc(1, sizeof *e);
  if (!e) return AVERROR(ENOMEM);
  e->c = avcodec_alloc_context3(*k);
  e->pkt = av_packet_alloc();
  e->f = av_frame_alloc();
  if (!e->c || !e->pkt || !e->f) {
    mx_enc_free(e);
    return AVERROR(ENOMEM);
  }
  *out = e;
  return 0;
}

static int open_enc(mx_enc **e, const AVCodec *k, AVDictionary **opts) {
  int r = avcodec_open2((*e)->c, k, opts);
  av_dict_free(opts);
  if (r < 0) {
    mx_enc_free(*e);
    *e = NULL;
  }
  return r;
}

int mx_h264_open(mx_enc **out, const mx_h264_config *g) {
  const AVCodec *k;
  if (g->w < 2 || g->h < 2 || (g->w | g->h) & 1 || g->w > 8192 || g->h > 8192 || g->fps < 1 || g->fps > 240 ||
      g->kbps < 1 || g->kbps > 200000 || g->gop < 1 || g->lookahead < 0)
    return AVERROR(EINVAL);
  int r = alloc_enc(out, "libx264", &k);
  if (r < 0) return r;
  AVCodecContext *c = (*out)->c;
  c->width = g->w;
  c->height = g->h;
  c->pix_fmt = AV_PIX_FMT_YUV420P;
  c->time_base = (AVRational){1, g->fps};
  c->framerate = (AVRational){g->fps, 1};
  c->sample_aspect_ratio = (AVRational){1, 1};
  c->gop_size = g->gop;
  c->max_b_frames = 0; // DTS = PTS: no edit list, no hole at the start of a slice
  c->thread_count = 1;
  c->color_range = AVCOL_RANGE_MPEG;
  c->colorspace = AVCOL_SPC_SMPTE170M;
  c->color_primaries = AVCOL_PRI_SMPTE170M;
  c->color_trc = AVCOL_TRC_SMPTE170M;
  c->bit_rate = g->kbps * 1000LL;
  c->rc_max_rate = c->bit_rate;
  c->rc_buffer_size = (int)(c->bit_rate > INT32_MAX / 2 ? INT32_MAX : c->bit_rate * 2);
  c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;
  char x[96];
  // Without lookahead nothing is held back; variable frame rates hold back one.
  snprintf(x, sizeof x, "mbtree=1:rc-lookahead=%d:scenecut=0:open-gop=0:weightp=0%s", g->lookahead, g->lookahead ? "" : ":force-cfr=1");
  AVDictionary *o = NULL;
  av_dict_set(&o, "preset", g->preset, 0);
  av_dict_set(&o, "forced-idr", "1", 0);
  av_dict_set(&o, "x264-params", x, 0);
  return open_enc(out, k, &o);
}

int mx_h264_push(mx_enc *e, mx_canvas *cv, int64_t frame, int key) {
  AVFrame *s = mx_canvas_frame(cv);
  if (s->width != e->c->width || s->height != e->c->height) return AVERROR(EINVAL);
  int r = av_frame_ref(e->f, s);
  if (r < 0) return r;
  e->f->pts = frame;
  e->f->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
  r = avcodec_send_frame(e->c, e->f);
  av_frame_unref(e->f); // x264 has copied the planes: the canvas is free again
  return r;
}

// sound_open opens an encoder that takes planar floats.
static int sound_open(mx_enc **out, const char *name, int rate, int channels, int bitrate) {
  const AVCodec *k;
  if (channels < 1 || channels > 2 || rate < 8000 || rate > 96000 || bitrate < 8000 || bitrate > 512000)
    return AVERROR(EINVAL);
  int r = alloc_enc(out, name, &k);
  if (r < 0) return r;
  mx_enc *e = *out;
  e->c->sample_rate = rate;
  e->c->sample_fmt = AV_SAMPLE_FMT_FLTP;
  e->c->bit_rate = bitrate;
  e->c->time_base = (AVRational){1, rate};
  e->c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  av_channel_layout_default(&e->c->ch_layout, channels);
  AVDictionary *o = NULL;
  // Of AAC's searches the fast one is not only a quarter of the work: it leaves
  // half the noise, or less, of the standard one at these rates (TestAACQuality).
  // Its noise shaping in time costs a sixth of that and makes voices noisier.
  if (!strcmp(name, "aac")) {
    av_dict_set(&o, "aac_coder", "fast", 0);
    av_dict_set(&o, "aac_tns", "0", 0);
  }
  r = open_enc(out, k, &o);
  if (r < 0) return r;
  AVFrame *f = e->f;
  f->format = AV_SAMPLE_FMT_FLTP;
  f->nb_samples = e->c->frame_size;
  f->sample_rate = rate;
  r = av_channel_layout_copy(&f->ch_layout, &e->c->ch_layout);
  if (r >= 0) r = av_frame_get_buffer(f, 0);
  if (r < 0) {
    mx_enc_free(e);
    *out = NULL;
  }
  return r;
}

int mx_aac_open(mx_enc **out, int rate, int channels, int bitrate) { return sound_open(out, "aac", rate, channels, bitrate); }

int mx_mp3_open(mx_enc **out, int rate, int channels, int bitrate) {
  return sound_open(out, "libmp3lame", rate, channels, bitrate);
}

int mx_enc_frame_size(const mx_enc *e) { return e->c->frame_size; }

int mx_aac_push(mx_enc *e, const float *pcm, int samples) {
  AVFrame *f = e->f;
  int ch = e->c->ch_layout.nb_channels;
  if (!pcm || samples != e->c->frame_size) return AVERROR(EINVAL);
  int r = av_frame_make_writable(f);
  if (r < 0) return r;
  for (int c = 0; c < ch; c++) {
    float *o = (float *)f->data[c];
    for (int i = 0; i < samples; i++) o[i] = pcm[i * ch + c];
  }
  f->pts = e->samples;
  e->samples += samples;
  return avcodec_send_frame(e->c, f);
}

int mx_enc_flush(mx_enc *e) { return avcodec_send_frame(e->c, NULL); }

int mx_enc_pull(mx_enc *e, const uint8_t **data, int *size, int64_t *pts, int *key) {
  av_packet_unref(e->pkt);
  int r = avcodec_receive_packet(e->c, e->pkt);
  if (r == AVERROR(EAGAIN) || r == AVERROR_EOF) return 0;
  if (r < 0) return r;
  *data = e->pkt->data;
  *size = e->pkt->size;
  *pts = e->pkt->pts;
  *key = !!(e->pkt->flags & AV_PKT_FLAG_KEY);
  return 1;
}

int mx_enc_extradata(mx_enc *e, const uint8_t **data) {
  *data = e->c->extradata;
  return e->c->extradata ? e->c->extradata_size : 0;
}

int mx_enc_padding(const mx_enc *e) { return e->c->initial_padding; }

void mx_enc_free(mx_enc *e) {
  if (!e) return;
  avcodec_free_context(&e->c);
  av_packet_free(&e->pkt);
  av_frame_free(&e->f);
  free(e);
}

// widen copies a plane from limited to full range.
static void widen(AVFrame *to, const AVFrame *from, int i) {
  int w = i ? (from->width + 1) / 2 : from->width, h = i ? (from->height + 1) / 2 : from->height;
  for (int y = 0; y < h; y++) {
    const uint8_t *s = from->data[i] + y * from->linesize[i];
    uint8_t *d = to->data[i] + y * to->linesize[i];
    for (int x = 0; x < w; x++) {
      int v = i ? 128 + ((s[x] - 128) * 255 + (s[x] >= 128 ? 112 : -112)) / 224 : ((s[x] - 16) * 255 + 109) / 219;
      d[x] = v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
    }
  }
}

// jpeg_packet encodes the canvas with an encoder that is allocated, not open.
static int jpeg_packet(mx_enc *e, const AVCodec *k, const AVFrame *s, int quality) {
  AVCodecContext *c = e->c;
  c->width = s->width;
  c->height = s->height;
  c->pix_fmt = AV_PIX_FMT_YUVJ420P;
  c->color_range = AVCOL_RANGE_JPEG;
  c->time_base = (AVRational){1, 25};
  c->thread_count = 1;
  c->flags |= AV_CODEC_FLAG_QSCALE;
  c->global_quality = quality * FF_QP2LAMBDA;
  int r = avcodec_open2(c, k, NULL);
  if (r < 0) return r;
  AVFrame *f = e->f;
  f->format = AV_PIX_FMT_YUVJ420P;
  f->color_range = AVCOL_RANGE_JPEG;
  f->width = s->width;
  f->height = s->height;
  if ((r = av_frame_get_buffer(f, 0)) < 0) return r;
  for (int i = 0; i < 3; i++) widen(f, s, i);
  f->quality = c->global_quality;
  f->pts = 0;
  if ((r = avcodec_send_frame(c, f)) < 0) return r;
  return avcodec_receive_packet(c, e->pkt);
}

int mx_jpeg(mx_canvas *cv, int quality, uint8_t **out, int *size) {
  const AVCodec *k;
  mx_enc *e;
  *out = NULL;
  if (quality < 1 || quality > 31) return AVERROR(EINVAL);
  int r = alloc_enc(&e, "mjpeg", &k);
  if (r < 0) return r;
  r = jpeg_packet(e, k, mx_canvas_frame(cv), quality);
  if (r >= 0) {
    *size = e->pkt->size;
    *out = malloc(*size > 0 ? *size : 1);
    if (*out)
      memcpy(*out, e->pkt->data, *size);
    else
      r = AVERROR(ENOMEM);
  }
  mx_enc_free(e);
  return r;
}
