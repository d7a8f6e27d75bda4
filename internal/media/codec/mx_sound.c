#include "mx.h"

#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG 64
#define MAX_FRAME 8192 // bytes: raw_data_block of two channels is at most 1536

struct mx_adec {
  AVCodecContext *c;
  AVPacket *pkt;
  AVFrame *f;
  float *pcm; // interleaved
  int room;   // floats
};

int mx_adec_open(mx_adec **out, const uint8_t *config, int size) {
  mx_quiet();
  *out = NULL;
  if (!config || size < 2 || size > MAX_CONFIG) return AVERROR(EINVAL);
  const AVCodec *k = avcodec_find_decoder_by_name("aac");
  if (!k) return AVERROR_DECODER_NOT_FOUND;
  mx_adec *d = calloc(1, sizeof *d);
  if (!d) return AVERROR(ENOMEM);
  d->c = avcodec_alloc_context3(k);
  d->pkt = av_packet_alloc();
  d->f = av_frame_alloc();
  int r = AVERROR(ENOMEM);
  if (d->c && d->pkt && d->f && (d->c->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE))) {
    memcpy(d->c->extradata, config, size);
    d->c->extradata_size = size;
    d->c->thread_count = 1;
    r = avcodec_open2(d->c, k, NULL);
  }
  if (r < 0) {
    mx_adec_free(d);
    return r;
  }
  *out = d;
  return 0;
}

// interleave copies the decoded frame to pcm.
static int interleave(mx_adec *d) {
  int n = d->f->nb_samples, ch = d->f->ch_layout.nb_channels;
  if (d->f->format != AV_SAMPLE_FMT_FLTP || ch < 1 || ch > 8 || n < 0 || n > 1 << 16) return AVERROR_INVALIDDATA;
  if (n * ch > d->room) {
    float *p = realloc(d->pcm, sizeof(float) * n * ch);
    if (!p) return AVERROR(ENOMEM);
    d->pcm = p;
    d->room = n * ch;
  }
  for (int c = 0; c < ch; c++) {
    const float *s = (const float *)d->f->extended_data[c];
    for (int i = 0; i < n; i++) d->pcm[i * ch + c] = s[i];
  }
  return n;
}

int mx_adec_push(mx_adec *d, const uint8_t *data, int size, const float **pcm, int *channels, int *rate) {
  if (!data || size < 1 || size > MAX_FRAME) return AVERROR_INVALIDDATA;
  int r = av_new_packet(d->pkt, size); // with the padding that decoders read over
  if (r < 0) return r;
  memcpy(d->pkt->data, data, size);
  r = avcodec_send_packet(d->c, d->pkt);
  av_packet_unref(d->pkt);
  if (r < 0) return r;
  r = avcodec_receive_frame(d->c, d->f);
  if (r == AVERROR(EAGAIN)) return 0;
  if (r < 0) return r;
  r = interleave(d);
  *pcm = d->pcm;
  *channels = d->f->ch_layout.nb_channels;
  *rate = d->f->sample_rate;
  av_frame_unref(d->f);
  return r;
}

void mx_adec_free(mx_adec *d) {
  if (!d) return;
  avcodec_free_context(&d->c);
  av_packet_free(&d->pkt);
  av_frame_free(&d->f);
  free(d->pcm);
  free(d);
}
