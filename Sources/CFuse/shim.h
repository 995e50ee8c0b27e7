// The low-level interface of libfuse 3, and the few calls that Swift cannot make by itself.
#ifndef GRAPEVINE_CFUSE_SHIM_H
#define GRAPEVINE_CFUSE_SHIM_H
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#endif
