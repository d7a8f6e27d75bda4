// Shared by the C files only.
#ifndef TAPEDECK_MX_SCALE_H
#define TAPEDECK_MX_SCALE_H

#include <stdint.h>

#define MX_COLUMNS 6

// How the columns of a destination are made of those of a source.
typedef struct {
  int sw, dw, groups;
  uint8_t *data; // for each group of columns 64 bytes of shuffle and 64 of parts
  int *at;       // four loads of the source for each group, in data as well
} mx_columns;

// What is kept from picture to picture. Zero is a new one.
typedef struct {
  mx_columns c[MX_COLUMNS];
  int next;
  uint8_t *half[2]; // pictures of half the size
  int half_room[2];
} mx_scaler;

typedef struct {
  uint8_t *p[3];
  int stride[3], w, h;
} mx_i420;

// Scales and returns 1, or returns 0 when it cannot: the destination may then be
// half written.
int mx_scale_fast(mx_scaler *s, const mx_i420 *from, const mx_i420 *to);
// Makes a picture that is more than twice the size w x h smaller by whole halves.
// What it points to is the scaler's, until the next call.
mx_i420 mx_halve(mx_scaler *s, mx_i420 from, int w, int h);
void mx_scaler_free(mx_scaler *s);

#endif
