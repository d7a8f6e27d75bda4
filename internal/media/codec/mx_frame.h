// Shared by the C files only.
#ifndef TAPEDECK_MX_FRAME_H
#define TAPEDECK_MX_FRAME_H

#include "mx.h"

const AVFrame *mx_dec_frame(const mx_dec *d); // NULL before the first picture

// Reports whether the rectangle has even edges and lies in f. An odd last row or
// column of f is out of reach.
int mx_inside(const AVFrame *f, int x, int y, int w, int h);

// Converts a rectangle of an I420 picture in place to limited-range BT.601.
// x, y, w and h are even.
void mx_recolour(AVFrame *f, int x, int y, int w, int h, int full_range, int bt709);

#endif
