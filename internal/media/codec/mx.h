// C side of package codec: thin, bounds-checked helpers over libavcodec,
// libyuv and libopus. Every function that can fail returns 0 or more when it
// worked and a negative AVERROR otherwise. No function keeps a pointer that was
// passed to it. A handle must not be used by two threads at a time.
#ifndef TAPEDECK_MX_H
#define TAPEDECK_MX_H

#include <libavutil/frame.h>
#include <stdint.h>

void mx_quiet(void);
void mx_error_text(int code, char *buf, int size);

// --- decoding of pictures -------------------------------------------------
enum { MX_H264 = 1, MX_H265, MX_VP8, MX_VP9, MX_AV1 };

typedef struct mx_dec mx_dec;
int mx_dec_open(mx_dec **out, int codec);
// Decodes one access unit. Returns 1 if a new picture is there, 0 if not; the
// last good picture stays when it fails.
int mx_dec_push(mx_dec *d, const uint8_t *data, int size);
void mx_dec_size(const mx_dec *d, int *w, int *h); // 0, 0 before the first picture
void mx_dec_free(mx_dec *d);

// --- canvas ---------------------------------------------------------------
// An I420 picture in limited-range BT.601.
typedef struct mx_canvas mx_canvas;
int mx_canvas_new(mx_canvas **out, int w, int h);
uint8_t *mx_canvas_plane(mx_canvas *c, int i, int *stride, int *rows);
int mx_canvas_fill(mx_canvas *c, int x, int y, int w, int h, int luma, int cb, int cr);
int mx_canvas_copy(mx_canvas *to, const mx_canvas *from);
// Draws a picture scaled into a rectangle with even edges. fit 0 crops the
// picture to the shape of the rectangle, 1 shows all of it with black bars.
// alpha 0..256 blends it over what is there.
int mx_draw_dec(mx_canvas *c, const mx_dec *d, int x, int y, int w, int h, int fit, int alpha);
int mx_draw_canvas(mx_canvas *c, const mx_canvas *s, int x, int y, int w, int h, int fit, int alpha);
int mx_canvas_rgba(mx_canvas *c, const uint8_t *rgba, int size, int stride);
// Converts rows from y on, which is even; rows is even but for the last ones.
int mx_canvas_rows(mx_canvas *c, int y, const uint8_t *rgba, int size, int stride, int rows);
// Copies a rectangle with even edges from a canvas of the same size.
int mx_canvas_blit(mx_canvas *to, const mx_canvas *from, int x, int y, int w, int h);
// Blends pic over c with an opacity of 0..255 for each of its pixels. Its size
// and place are even.
int mx_canvas_stamp(mx_canvas *c, const mx_canvas *pic, const uint8_t *mask, int size, int x, int y);
// Converts B, G, R, X bytes into a rectangle with even edges.
int mx_canvas_bgrx(mx_canvas *c, const uint8_t *pix, int64_t size, int stride, int x, int y, int w, int h);
void mx_canvas_free(mx_canvas *c);
AVFrame *mx_canvas_frame(mx_canvas *c); // for the encoders

// --- H.264 and JPEG encoding ----------------------------------------------
typedef struct {
  int w, h, fps, kbps, gop, lookahead;
  const char *preset;
} mx_h264_config;

typedef struct mx_enc mx_enc; // an open encoder of sound or pictures
int mx_h264_open(mx_enc **out, const mx_h264_config *cfg);
int mx_h264_push(mx_enc *e, mx_canvas *c, int64_t frame, int key);
int mx_jpeg(mx_canvas *c, int quality, uint8_t **out, int *size); // free with mx_free

// --- AAC and MP3 encoding ---------------------------------------------------
int mx_aac_open(mx_enc **out, int rate, int channels, int bitrate);
int mx_mp3_open(mx_enc **out, int rate, int channels, int bitrate);
int mx_enc_frame_size(const mx_enc *e); // samples a channel
// Takes exactly mx_enc_frame_size samples a channel, interleaved.
int mx_aac_push(mx_enc *e, const float *pcm, int samples);

// --- AAC decoding -----------------------------------------------------------
typedef struct mx_adec mx_adec;
int mx_adec_open(mx_adec **out, const uint8_t *config, int size); // AudioSpecificConfig
// Decodes one raw frame. Returns the samples a channel, interleaved at *pcm
// and valid until the next call; 0 while the decoder fills.
int mx_adec_push(mx_adec *d, const uint8_t *data, int size, const float **pcm, int *channels, int *rate);
void mx_adec_free(mx_adec *d);

// --- common to encoders -----------------------------------------------------
int mx_enc_flush(mx_enc *e);
// Returns 1 and the next packet, valid until the next call for e, or 0.
int mx_enc_pull(mx_enc *e, const uint8_t **data, int *size, int64_t *pts, int *key);
int mx_enc_extradata(mx_enc *e, const uint8_t **data);
int mx_enc_padding(const mx_enc *e); // priming samples before the first input
void mx_enc_free(mx_enc *e);

void mx_free(void *p);
#endif
