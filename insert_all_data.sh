#!/bin/sh
# Fills the source database with a year of simulated rows, month by month, and brings each month
# through to its exports. Safe to end at any point and to run again.
#
#   sh insert_all_data.sh                                              on this machine
#   docker compose run --rm data_tools sh insert_all_data.sh           in containers
#   YEAR=2022 MONTHS="11 12" RANDOM_MAIN_CONTROLLER=1 sh insert_all_data.sh
#
# YEAR: 2023 unless set. MONTHS: all twelve. RANDOM_MAIN_CONTROLLER: how many rows, 100.
# APP: how the console is called, where it is neither in .venv/ nor in the PATH.
set -e
cd "$(dirname "$0")"
year=${YEAR:-2023}
exports=${EXPORTS_DIR:-exports}
shown=${exports#/app/}

if [ -n "${APP:-}" ]; then
  app=$APP
elif [ -x .venv/bin/python ]; then
  app=".venv/bin/python -m app"
elif command -v app >/dev/null; then
  app=app
else
  echo "Error: .venv/ is missing. Run \`make setup\` first." >&2
  exit 2
fi

# Asked first, as the exports come last.
closed=$([ ! -e "$exports" ] || find "$exports" -type d ! -writable -print -quit)
if [ -n "$closed" ]; then
  echo "Error: $closed belongs to $(stat -c '%U (uid %u)' "$closed"), and uid $(id -u) may not write there." \
    "On the host, run: sudo chown -R \"\$(id -u):\$(id -g)\" $shown" >&2
  exit 2
fi

for month in ${MONTHS:-1 2 3 4 5 6 7 8 9 10 11 12}; do
  echo "-- $year, month $month"
  $app simulate "$year" "$month"
  $app pull --month "$(printf '%04d-%02d' "$year" "$month")" --wait
  $app refresh
  # The month, its days, and the year.
  $app export --year "$year"
done
