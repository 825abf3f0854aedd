# Included by every Makefile.am: the flags that all of the code is built with, and how tests are run.
AM_CPPFLAGS = -I$(top_srcdir) -I$(top_builddir) -D_GNU_SOURCE
AM_CFLAGS = $(XHA_WARN_CFLAGS) $(XHA_HARD_CFLAGS)
AM_LDFLAGS = $(XHA_HARD_LDFLAGS)

# Every test speaks TAP, so that each case is counted, and a test that dies halfway is an error. cmocka does it when
# told so; scripts use tests/tap.sh.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	XHA_SRC='$(abs_top_srcdir)'; export XHA_SRC; \
	XHA_BUILD='$(abs_top_builddir)'; export XHA_BUILD;

# Where things are on the installed system; defaults of parameters, and what the manuals say.
XHA_PATHS = \
	-DXHA_SYSCONF_DIR='"$(sysconfdir)/xhad"' \
	-DXHA_LIBEXEC_DIR='"$(libexecdir)/xhad"' \
	-DXHA_RUN_DIR='"$(runstatedir)/xhad"' \
	-DXHA_STATE_DIR='"$(localstatedir)/lib/xhad"'

# For whatever links xhad/libxhamove.a.
MOVE_LIBS = $(GNUTLS_LIBS) $(LZ4_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS) $(JANSSON_LIBS)

# For programs with tests/unit/fake-xen.c: the calls that it stands in for.
FAKE_XEN_WRAPS = \
	-Wl,--wrap=xc_interface_open -Wl,--wrap=xc_interface_close -Wl,--wrap=xc_version -Wl,--wrap=xc_sched_id \
	-Wl,--wrap=xc_domain_getinfolist -Wl,--wrap=xc_physinfo -Wl,--wrap=xs_open -Wl,--wrap=xs_close -Wl,--wrap=xs_write \
	-Wl,--wrap=xs_read -Wl,--wrap=xs_watch -Wl,--wrap=xs_read_watch
