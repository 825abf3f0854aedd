# Included from the top Makefile.am: the checks that are not part of `make check`.

.PHONY: lint check-asan check-valgrind check-fuzz check-swarm check-lab check-lab-quick bench bench-lab

# Readers of the code; one of them: make lint LINT=tidy (format, cppcheck, tidy, shell, man).
LINT =
lint: config.h
	$(srcdir)/tests/lint.sh $(abs_top_builddir) $(LINT)

# All tests once more, built with AddressSanitizer and UndefinedBehaviorSanitizer in a directory of their own.
check-asan:
	$(MKDIR_P) _asan
	test -f _asan/config.status || (cd _asan && \
	    $(abs_top_srcdir)/configure --enable-sanitizers --enable-werror CC='$(CC)' >configure.log)
	ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$(abs_top_srcdir)/tests/lsan.supp:print_suppressions=0 \
	    UBSAN_OPTIONS=print_stacktrace=1 \
	    $(MAKE) -C _asan -k check
	@if test -n '$(KEEP)'; then :; else rm -rf _asan; fi

# The same layers under valgrind; XHA_WRAP is for tests that start programs. The swarm would take an hour.
VALGRIND_DIRS = xhad xl-plugins guest tests/unit tests/scenario tests/daemon
check-valgrind: all
	XHA_WRAP='$(abs_top_srcdir)/tests/valgrind.sh'; export XHA_WRAP; XHA_SHORT=1; export XHA_SHORT; \
	failed=0; for d in $(VALGRIND_DIRS); do \
	    $(MAKE) -C $$d -k check LOG_COMPILER='$(abs_top_srcdir)/tests/valgrind.sh' || failed=1; \
	done; exit $$failed

FUZZ_SECONDS = 60
check-fuzz check-swarm check-lab check-lab-quick bench: all
	@case $@ in check-fuzz) d=fuzz;; check-swarm) d=swarm;; bench) d=bench;; *) d=lab;; esac; \
	$(MAKE) -C tests/$$d $@

# Moves against stock xl, on real Xen: it wants what the lab wants.
bench-lab: all
	$(MAKE) -C tests/lab $@
