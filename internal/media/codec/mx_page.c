#include "mx.h"

#include <libavutil/error.h>
#include <libyuv.h>

int mx_canvas_bgrx(mx_canvas *c, const uint8_t *pix, int64_t size, int stride, int x, int y, int w, int h) {
  AVFrame *f = mx_canvas_frame(c);
  if ((x | y | w | h) & 1 || x < 0 || y < 0 || w < 2 || h < 2 || x > f->width - w || y > f->height - h ||
      stride < 4 * w || size < (int64_t)stride * (h - 1) + 4 * w)
    return AVERROR(EINVAL);
  // libyuv calls B, G, R, A in memory ARGB.
  return ARGBToI420(pix, stride, f->data[0] + y * f->linesize[0] + x, f->linesize[0],
                    f->data[1] + y / 2 * f->linesize[1] + x / 2, f->linesize[1],
                    f->data[2] + y / 2 * f->linesize[2] + x / 2, f->linesize[2], w, h)
             ? AVERROR_EXTERNAL
             : 0;
}
