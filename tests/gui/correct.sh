#!/bin/bash
# Correcting a joint in a real Blender window: a solved take of the demo clip, Edit Keypoints, Live Re-solve, a marker
# dragged with the pointer, undo. A picture per step, and a log of when the marker moved, when the mesh of its frame
# followed, and which frames changed. Linux, root; uses the Blender that run.sh has set up (run that first).
#
#   python build_addon.py --platform linux-x64 --python 3.14 && tests/gui/correct.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(dirname "$(dirname "$here")")
ROOT=${ROOT:-/tmp/pose2mesh-gui}
PYTHON=${PYTHON:-$checkout/.venv/bin/python}
width=1600 height=900
out=${1:-$checkout/out/correct}
mkdir -p "$out"
zip=$(ls -t "$checkout"/dist/pose2mesh_blender-*-linux-x64-py314.zip | head -1)
[ -x "$ROOT/usr/bin/blender" ] || { echo "Run tests/gui/run.sh first: it sets up $ROOT" >&2; exit 1; }

unmount() {
    for folder in proc dev sys; do
        mountpoint -q "$ROOT/$folder" && umount "$ROOT/$folder"
    done
    return 0
}
mountpoint -q "$ROOT/proc" || mount -t proc proc "$ROOT/proc"
mountpoint -q "$ROOT/dev" || mount --bind /dev "$ROOT/dev"
mountpoint -q "$ROOT/sys" || mount -t sysfs sys "$ROOT/sys"
rm -rf "$ROOT/home/artist"
mkdir -p "$ROOT/home/artist"
cp "$zip" "$ROOT/home/artist/pose2mesh.zip"
cp "$checkout/tests/data/demo/demo.mp4" "$here/correct.py" "$ROOT/home/artist/"
(cd "$checkout" && "$PYTHON" -m pose2mesh_blender.cli animate tests/data/demo/demo.mp4 --people 1 \
    --take "$ROOT/home/artist/take")
sed -i "s#\"path\": \"[^\"]*demo.mp4\"#\"path\": \"/home/artist/demo.mp4\"#" "$ROOT/home/artist/take/take.json"
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
chroot "$ROOT" env HOME=/home/artist LANG=C.UTF-8 PATH=/usr/bin:/bin DISPLAY=$display LIBGL_ALWAYS_SOFTWARE=1 \
    blender --window-geometry 0 0 $width $height --no-window-focus -P /home/artist/correct.py >"$log" 2>&1 &
blender=$!
for _ in $(seq 180); do
    grep -q "^ready" "$log" && break
    kill -0 $blender
    sleep 1
done
sleep 5
import -window root "$out/1-ready.png"
read -r _ x y _ <<<"$(grep '^marker' "$log" | tail -1)"
x=${x%.*} y=${y%.*}
xdotool mousemove "$x" "$y"
sleep 2
xdotool mousemove $((x + 1)) "$y"
sleep 1
xdotool click 1
sleep 3
xdotool key g
sleep 2
for i in 1 2 3 4 5 6; do
    xdotool mousemove $((x + 1 + 6 * i)) $((y - 5 * i))
    sleep 2
done
sleep 8
import -window root "$out/2-dragging.png"
xdotool click 1
sleep 12
import -window root "$out/3-done.png"
xdotool key ctrl+z
sleep 12
import -window root "$out/4-undone.png"
kill -0 $blender # it must still live
grep -E "^(moved|mesh|rest)" "$log"
grep -q "^mesh" "$log"
