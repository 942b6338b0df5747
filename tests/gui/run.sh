#!/bin/bash
# A user's first five minutes, in a real Blender window: install the zip, open the tab, type the clip's path, click
# Animate, wait, screenshot. Linux, root, about 2 GB in ROOT and some ten minutes (software OpenGL).
#
#   python build_addon.py --platform linux-x64 --python 3.14 && tests/gui/run.sh [SCREENSHOT.png]
#
# Blender comes from Debian sid (5.2, Python 3.14) in a folder of its own, made on the first run and kept:
# ROOT=/tmp/pose2mesh-gui. Remove it with: tests/gui/run.sh --remove
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(dirname "$(dirname "$here")")
ROOT=${ROOT:-/tmp/pose2mesh-gui}
width=1600 height=900
out=${1:-$checkout/out/blender.png}
[ "${1:-}" = --remove ] || mkdir -p "$(dirname "$out")"

unmount() {
    for folder in proc dev sys; do
        mountpoint -q "$ROOT/$folder" && umount "$ROOT/$folder"
    done
    return 0
}
if [ "${1:-}" = --remove ]; then
    unmount # before the removal: dev is the machine's own
    rm -rf --one-file-system "$ROOT"
    exit
fi

for tool in debootstrap Xvfb xdotool import; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt install debootstrap xvfb xdotool imagemagick" >&2; exit 1; }
done
zip=$(ls -t "$checkout"/dist/pose2mesh_blender-*-linux-x64-py314.zip | head -1)

if [ ! -x "$ROOT/usr/bin/blender" ]; then
    debootstrap --variant=minbase --include=ca-certificates sid "$ROOT"
    cp /etc/apt/apt.conf.d/99* "$ROOT/etc/apt/apt.conf.d/" 2>/dev/null || true
    chroot "$ROOT" apt-get install -y --no-install-recommends blender python3-numpy python3-zstandard python3-requests \
        python3-cattr libgl1-mesa-dri libegl1 libegl-mesa0 libgl1 mesa-vulkan-drivers
fi
mountpoint -q "$ROOT/proc" || mount -t proc proc "$ROOT/proc"
mountpoint -q "$ROOT/dev" || mount --bind /dev "$ROOT/dev"
mountpoint -q "$ROOT/sys" || mount -t sysfs sys "$ROOT/sys"

# A user who has never started Blender: no settings, no cache.
rm -rf "$ROOT/home/artist"
mkdir -p "$ROOT/home/artist"
cp "$zip" "$ROOT/home/artist/pose2mesh.zip"
cp "$checkout/tests/data/demo/demo.mp4" "$ROOT/home/artist/demo.mp4"
cp "$here/watch.py" "$ROOT/home/artist/watch.py"
in_root() { chroot "$ROOT" env HOME=/home/artist LANG=C.UTF-8 PATH=/usr/bin:/bin "$@"; }

in_root blender --command extension install-file -r user_default -e /home/artist/pose2mesh.zip
in_root blender -b --python-expr \
    "import bpy; bpy.context.preferences.view.show_splash=False; bpy.ops.wm.save_userpref()" >/dev/null

display=:$((70 + RANDOM % 20))
Xvfb $display -screen 0 ${width}x${height}x24 +extension GLX +render -noreset >/dev/null 2>&1 &
screen=$!
blender=
finish() {
    [ -z "$blender" ] || kill "$blender" 2>/dev/null || true
    sleep 1
    kill $screen 2>/dev/null || true
    unmount
}
trap finish EXIT
sleep 2
export DISPLAY=$display
log=$ROOT/home/artist/watch.log
nice -n 5 chroot "$ROOT" env HOME=/home/artist LANG=C.UTF-8 PATH=/usr/bin:/bin DISPLAY=$display LIBGL_ALWAYS_SOFTWARE=1 \
    blender --window-geometry 0 0 $width $height --no-window-focus -P /home/artist/watch.py >"$log" 2>&1 &
blender=$!

wait_for() { # wait_for PATTERN SECONDS: until watch.py has printed it
    for _ in $(seq "$2"); do
        grep -q "$1" "$log" && return
        kill -0 $blender 2>/dev/null || break
        sleep 1
    done
    echo "Blender never said '$1'; its log:" >&2
    tail -20 "$log" >&2
    import -window root "${out%.png}-failed.png" || true
    return 1
}
ticks() { awk '{print $14 + $15}' /proc/$blender/stat; }
settle() { # until Blender rests: shaders compiled, frames drawn; software OpenGL takes its time
    local before
    sleep 4
    for _ in $(seq 60); do
        before=$(ticks)
        sleep 4
        [ $(($(ticks) - before)) -gt 40 ] || return 0
    done
}
click() { # click X Y [count]: where a user would point, in pixels from the top left of the window
    xdotool mousemove "$1" "$2"
    sleep 2
    xdotool mousemove $(($1 + 1)) "$2"
    sleep 2
    xdotool click --repeat "${3:-1}" --delay 120 1
    sleep 3
}

wait_for "^tab " 120
read -r _ left top <<<"$(grep '^tab ' "$log" | tail -1)" # top left corner of the open sidebar
settle

# The default cube stands where the person will: away with it, as every user does.
xdotool mousemove $((left - 420)) $((top + 320))
sleep 2
xdotool key Delete
sleep 3

click $((left + 120)) $((top + 46)) 2 # the footage field: a double click opens it for typing
xdotool key ctrl+a
xdotool type --delay 60 /home/artist/demo.mp4
sleep 1
xdotool key Return
sleep 2
click $((left + 144)) $((top + 79)) # Animate
started=$SECONDS
sleep 12
import -window root "${out%.png}-running.png"
wait_for "^people " 900
echo "Animated within $((SECONDS - started)) s of the click: $(grep '^people ' "$log")"
settle

# Match the scene to the footage, look through the camera that the add-on made, with the texture, at frame 60. The
# first and the second only where the add-on has not done it by itself.
if ! grep -q "^people .* fps 60 " "$log"; then # by its name in the search
    xdotool mousemove $((left - 420)) $((top + 320)) key F3
    sleep 3
    xdotool type --delay 60 "Match Scene to Footage"
    sleep 3
    xdotool key Return
    sleep 3
fi
grep -q "^people .* view CAMERA" "$log" || click $((left - 24)) $((top + 177))
xdotool mousemove $((left - 420)) $((top + 320))
sleep 2
xdotool key Home # the camera's picture fills the view
settle
xdotool key alt+a # nothing selected, so no outlines
settle
click 1254 40 # material preview, in the header
settle
click 1001 830 2 # the current frame
xdotool key ctrl+a
xdotool type --delay 60 60
xdotool key Return
settle
import -window root "$out"
kill -0 $blender # it must still live
echo "Screenshot: $out"
