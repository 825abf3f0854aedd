/* The programs inside labtool, one per file; each takes main()'s arguments from its own name on. */
#ifndef LABTOOL_H
#define LABTOOL_H

int mux_main(int argc, char **argv);
int power_main(int argc, char **argv);
int exec_main(int argc, char **argv);
int wire_main(int argc, char **argv);
int ask_main(int argc, char **argv);
int qmp_main(int argc, char **argv);
int console_main(int argc, char **argv);

/* Unix stream sockets by path. The fd, or -1 with errno; `retry_ms` is how long to wait for it to be there.
 */
int sock_connect(const char *path, int retry_ms);
int sock_listen(const char *path);

#endif
