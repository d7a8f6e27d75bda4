// Package probe judges recorded files from outside: it runs ffprobe and ffmpeg,
// which know nothing of how the files were made, and measures what a viewer
// would see and hear: flashes and beeps, their distance, colours, frozen and
// broken pictures. It finds the marks that package clips puts into its media.
//
// Times are positions on the timeline of the media, as container timestamps
// say (copied, not re-based) plus the shift the caller gives.
package probe
