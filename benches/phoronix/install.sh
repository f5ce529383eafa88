#!/bin/sh
# The Phoronix Test Suite runs this in the folder of the installed test, then `./fsvae ARGUMENTS` for each result.
# FSVAE: a program that is there already, instead of one that is built now.
if [ -z "$FSVAE" ]; then
    cargo install --locked --root "$PWD" fsvae || { echo 1 >install-exit-status; exit 1; }
    FSVAE=$PWD/bin/fsvae
fi
cat >fsvae <<END
#!/bin/sh
# Gives the suite what \`fsvae bench\` prints, and two lines of numbers from its first line to paste. A backend with a wrong bit
# has no such numbers.
"$FSVAE" bench "\$@" >bench.txt 2>&1
status=\$?
cat bench.txt >"\$LOG_FILE"
awk -F ' · ' '
    /^fsvae .* · / {
        for (i = 1; i <= NF; i++) {
            split(\$i, words, " ")
            if (\$i ~ /^[0-9].* images\/s/) { gsub(",", "", words[1]); print "Images a second: " words[1] }
            if (\$i ~ /^first image [0-9]/) {
                scale = words[4] == "s" ? 1e3 : words[4] == "ms" ? 1 : words[4] == "us" ? 1e-3 : 1e-6
                print "First image in milliseconds: " scale * words[3]
            }
        }
        exit
    }' bench.txt >>"\$LOG_FILE"
echo \$status >test-exit-status
exit \$status
END
chmod +x fsvae
echo 0 >install-exit-status
