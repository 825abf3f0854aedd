# A client of a guest: it asks again and again, and its log, kept outside of the guest and of its hosts, tells what was
# seen of it. An answer that shows a smaller counter than one before it is something seen that was lost.
# shellcheck shell=bash

# ask_begin HOST GUEST: each answer is noted as "UPTIME NAME BOOT COUNTER"
ask_begin() {
    asker=$1
    on "$1" "rm -f /run/answers; while :; do a=\$(busybox nc -w 2 $(guest_address "$2") 7 </dev/null) && [ -n \"\$a\" ] &&
        echo \"\$(cut -d' ' -f1 /proc/uptime) \$a\" >>/run/answers; done >/dev/null 2>&1 & echo \$! >/run/asker.pid"
}
ask_end() { ! host_alive "$asker" || on "$asker" 'kill $(cat /run/asker.pid) 2>/dev/null; rm -f /run/asker.pid' || true; }
answers() { on "$asker" 'if [ -e /run/answers ]; then wc -l </run/answers; else echo 0; fi'; }
answers_past() { [ "$(answers)" -gt "$1" ]; } # NUMBER
answered_last() { on "$asker" "tail -n 1 /run/answers | cut -d' ' -f4"; } # the counter
answered_boots() { on "$asker" "cut -d' ' -f3 /run/answers | sort -u | xargs"; }
answered_back() { on "$asker" "awk 'NR > 1 && \$4 < last { n++ } { last = \$4 } END { print n + 0 }' /run/answers"; }
answered_gap() { on "$asker" "awk 'NR > 1 && \$1 - last > gap { gap = \$1 - last } { last = \$1 } END { printf \"%.1f\", gap }' /run/answers"; }
# The N answers before the longest gap, and the N after it.
answers_around_gap() { # N
    on "$asker" "awk -v n=$1 '{ at[NR] = \$1; line[NR] = \$0 } NR > 1 && \$1 - at[NR - 1] > gap { gap = \$1 - at[NR - 1]; last = NR - 1 }
        END { for (i = last - n + 1; i <= last + n; i++) if (i in line) { print line[i]; if (i == last) printf \"(%.1f s)\\n\", gap } }' /run/answers"
}

# One guest from its first answer to its last, and nothing that was seen was lost.
expect_nothing_lost() { # BOOT
    expect_equal "boots that answered" "$1" "$(answered_boots)"
    expect_equal "answers in which the counter went back" 0 "$(answered_back)"
    note "$(answers) answers, the longest gap between two was $(answered_gap) s"
}
story_at_end+=(ask_end)
asker=none
