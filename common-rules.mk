# Included by every Makefile.am: the flags that all of the code is built with.
AM_CPPFLAGS = -I$(top_srcdir) -I$(top_builddir) -D_GNU_SOURCE
AM_CFLAGS = $(XHA_WARN_CFLAGS) $(XHA_HARD_CFLAGS)
AM_LDFLAGS = $(XHA_HARD_LDFLAGS)
