/*
 * cmdtable.c - the commands of xl-ha, in the order of its help.
 */
#include "xl-plugins/xl-ha.h"

#include <string.h>

#include "xhad/base/text.h"

const struct xlha_command xlha_commands[] = {
    { "list", xlha_cmd_list, 0, 1, XLHA_OPT_LONG, "[DOMAIN]", "List protected domains, or one" },
    { "info", xlha_cmd_info, 1, 1, 0, "DOMAIN", "Show all that is known of a domain" },
    { "protect", xlha_cmd_protect, 1, 1, XLHA_OPT_WAIT | XLHA_OPT_TAKE_OVER, "FILE",
      "Put the domain of a policy file under protection, or change its policy" },
    { "unprotect", xlha_cmd_unprotect, 1, 1, XLHA_OPT_WAIT, "DOMAIN",
      "Forget a domain; the domain itself is left as it is" },
    { "start", xlha_cmd_order, 1, 1, XLHA_OPT_WAIT, "DOMAIN", "Start a domain and keep it running" },
    { "stop", xlha_cmd_order, 1, 1, XLHA_OPT_WAIT, "DOMAIN", "Shut a domain down and leave it stopped" },
    { "restart", xlha_cmd_order, 1, 1, XLHA_OPT_WAIT, "DOMAIN", "Shut a domain down and start it again" },
    { "checkpoint", xlha_cmd_order, 1, 1, XLHA_OPT_WAIT, "DOMAIN",
      "Save a domain to a checkpoint and let it run on" },
    { "checkpoints", xlha_cmd_checkpoints, 1, 1, XLHA_SLOW, "DOMAIN", "List a domain's checkpoints" },
    { "restore", xlha_cmd_restore, 1, 2, XLHA_OPT_WAIT, "DOMAIN [NUMBER|FILE]",
      "Put a domain back to a checkpoint (the newest good one) or a saved file" },
    { "sched", xlha_cmd_sched, 0, 1, XLHA_OPT_WAIT | XLHA_OPT_SCHED, "[DOMAIN]",
      "Show or change weight, cap, affinity and cpupool" },
    { "migrate", xlha_cmd_migrate, 1, 2, XLHA_OPT_WAIT | XLHA_OPT_MOVE, "DOMAIN [HOST]",
      "Move a domain to another host; ^C calls it off" },
    { "migrate-receive", xlha_cmd_migrate_receive, 0, 0, 0, "",
      "Take a domain from a stock xl: xl migrate -s '' DOMAIN 'ssh HERE xl-ha migrate-receive'" },
    { "maintenance", xlha_cmd_maintenance, 1, 2, XLHA_OPT_WAIT, "[DOMAIN|HOST] on|off",
      "Leave a domain alone; or empty a host, by default this one" },
    { "hosts", xlha_cmd_hosts, 0, 0, XLHA_OPT_LONG, "", "List the hosts of the cluster" },
    { "top", xlha_cmd_top, 0, 0, 0, "", "Watch hosts, domains and what happens, until q" },
    { "what-if", xlha_cmd_what_if, 2, 2, XLHA_SLOW, "host-down HOST | add FILE",
      "Tell where domains would go, without touching anything" },
    { "timing", xlha_cmd_timing, 0, 0, 0, "",
      "Tell how long recovery takes at worst, for each kind of failure" },
    { "confirm-fenced", xlha_cmd_tell, 1, 1, 0, "HOST",
      "Say that a lost host is off: its domains are started elsewhere" },
    { "disarm", xlha_cmd_tell, 0, 0, 0, "", "Stop all hosts of the cluster from fencing themselves" },
    { "arm", xlha_cmd_tell, 0, 0, 0, "", "Let the hosts fence themselves again when they lose quorum" },
    { "forget-host", xlha_cmd_tell, 1, 1, 0, "HOST", "Strike a host that is gone for good off the cluster" },
    { "host-shutdown", xlha_cmd_tell, 0, 0, XLHA_SLOW, "",
      "Empty this host as on_shutdown says, before it is shut down" },
    { "cluster", xlha_cmd_cluster, 1, -1, XLHA_OPT_CLUSTER, "init|bundle|join|add|remove|leave|status ...",
      "Make a cluster of hosts, change it, or show how corosync is" },
    { "repl", xlha_cmd_repl, 1, 1, XLHA_OPT_FOLLOW | XLHA_OPT_LINES, "DOMAIN",
      "Show how a domain is replicated, epoch by epoch" },
    { "log", xlha_cmd_log, 0, 1, XLHA_OPT_FOLLOW | XLHA_OPT_LINES, "[DOMAIN]", "Show what happened" },
    { "events", xlha_cmd_log, 0, 1, XLHA_OPT_FOLLOW | XLHA_OPT_LINES, "[DOMAIN]",
      "The same as log, for machines: always JSON" },
    { "metrics", xlha_cmd_metrics, 0, 0, 0, "", "Print figures in the text format of Prometheus" },
    { "why", xlha_cmd_why, 1, 1, 0, "DOMAIN", "Tell how a domain came to be in its state" },
    { "reload", xlha_cmd_reload, 0, 0, 0, "", "Have xhad read xhad.conf and the policies again" },
    { "check-config", xlha_cmd_check_config, 0, -1, 0, "[FILE...]",
      "Check files, by default xhad.conf and all policies; needs no xhad" },
    { "status", xlha_cmd_status, 0, 0, 0, "", "Show how xhad itself is" },
    { "version", xlha_cmd_version, 0, 0, 0, "", "Show the versions of xl-ha, xhad and Xen" },
    { "help", xlha_cmd_help, 0, 1, 0, "[COMMAND]", "Show this, or more about a command" },
};

const size_t xlha_n_commands = sizeof(xlha_commands) / sizeof(xlha_commands[0]);

static const struct xlha_command *nearest(const char *name)
{
    const struct xlha_command *found = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < xlha_n_commands; i++) {
        unsigned distance = xha_text_distance(name, xlha_commands[i].name, best);

        if (distance < best) {
            best = distance;
            found = &xlha_commands[i];
        }
    }
    return found;
}

const struct xlha_command *xlha_command_find(const char *name)
{
    const struct xlha_command *found = NULL;
    size_t len = strlen(name);
    int count = 0;

    for (size_t i = 0; i < xlha_n_commands; i++) {
        if (strncmp(name, xlha_commands[i].name, len))
            continue;
        if (!xlha_commands[i].name[len])
            return &xlha_commands[i];
        found = &xlha_commands[i];
        count++;
    }
    if (count == 1)
        return found;
    if (count > 1) {
        xlha_fail(XLHA_USAGE, "'%s' could be more than one command; see xl-ha help", name);
        return NULL;
    }
    found = nearest(name);
    if (found)
        xlha_fail(XLHA_USAGE, "unknown command '%s'; did you mean '%s'?", name, found->name);
    else
        xlha_fail(XLHA_USAGE, "unknown command '%s'; see xl-ha help", name);
    return NULL;
}

void xlha_help(const struct xlha_command *command, FILE *out)
{
    if (command) {
        fprintf(out, "Usage: xl-ha %s [options]%s%s\n\n%s.\n\nOptions:\n\n", command->name,
                *command->arguments ? " " : "", command->arguments, command->summary);
        xlha_options_help(command->options, out);
        return;
    }
    fprintf(out, "Usage: xl-ha [-vN] <subcommand> [args]\n\nxl-ha full list of subcommands:\n\n");
    for (size_t i = 0; i < xlha_n_commands; i++)
        fprintf(out, " %-19s %s\n", xlha_commands[i].name, xlha_commands[i].summary);
    fprintf(out, "\nDOMAIN is a name, a UUID or a domain id. Options of every subcommand:\n\n");
    xlha_options_help(0, out);
    fprintf(out, "\nOptions of some, see xl-ha help <subcommand>:\n\n");
    xlha_options_help(~0u, out);
}

int xlha_cmd_help(struct xlha *x)
{
    const struct xlha_command *command = NULL;

    if (x->n_args) {
        command = xlha_command_find(x->args[0]);
        if (!command)
            return XLHA_USAGE;
    }
    xlha_help(command, stdout);
    return XLHA_DONE;
}
