#include "cmd/tend/boot_forms.h"

namespace tend::cli {
namespace {

constexpr std::string_view kSystemd = R"([Unit]
Description=@WHAT@
Documentation=man:tend(1)
After=@NETWORK@
@WANTS@
[Service]
# The main process restores the saved list and waits for the daemon. It ends the daemon and the apps at a stop
# (KillSignal); at a restart of this unit it ends alone, and apps go on (RestartKillSignal, since systemd 244).
Type=notify
NotifyAccess=main
@USER@Environment=@PATH@
Environment=@HOME@
ExecStart=@EXEC@ unit-run
ExecReload=@EXEC@ update
ExecStopPost=-@EXEC@ unit-left
KillMode=process
KillSignal=SIGTERM
RestartKillSignal=SIGHUP
Restart=on-failure
RestartSec=1
TimeoutStartSec=5min
TimeoutStopSec=5min
OOMPolicy=continue
Delegate=yes
DelegateSubgroup=tend-unit
LimitNOFILE=1048576

[Install]
WantedBy=@TARGET@
)";

constexpr std::string_view kOpenrc = R"(#!/sbin/openrc-run
description="@WHAT@"
extra_started_commands="reload"

run_as_user() {
	su -s /bin/sh @RAWUSER@ -c "PATH=@SHPATH@ @SHHOME@ @SHPROGRAM@ $1"
}

depend() {
	need net localmount
	after bootmisc
}

start() {
	ebegin "Starting @NAME@ of @RAWUSER@"
	run_as_user resurrect
	eend $?
}

stop() {
	ebegin "Stopping @NAME@ of @RAWUSER@"
	run_as_user kill
	eend $?
}

reload() {
	ebegin "Reloading the apps of @RAWUSER@"
	run_as_user "reload all"
	eend $?
}
)";

constexpr std::string_view kLaunchd = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>@XSERVICE@</string>
	<key>UserName</key>
	<string>@XUSER@</string>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<false/>
	<key>AbandonProcessGroup</key>
	<true/>
	<key>ProgramArguments</key>
	<array>
		<string>@XPROGRAM@</string>
		<string>resurrect</string>
	</array>
	<key>EnvironmentVariables</key>
	<dict>
		<key>PATH</key>
		<string>@XPATH@</string>
		<key>@HOMEVAR@</key>
		<string>@XHOME@</string>
	</dict>
	<key>StandardErrorPath</key>
	<string>/tmp/@XSERVICE@.err</string>
	<key>StandardOutPath</key>
	<string>/tmp/@XSERVICE@.out</string>
</dict>
</plist>
)";

constexpr std::string_view kRcd = R"(#!/bin/sh
#
# PROVIDE: @SERVICE@
# REQUIRE: LOGIN NETWORKING
# KEYWORD: shutdown

. /etc/rc.subr

name="@SERVICE@"
rcvar="@SERVICE@_enable"
start_cmd="run_as_user resurrect"
stop_cmd="run_as_user kill"
reload_cmd="run_as_user 'reload all'"
status_cmd="run_as_user list"
extra_commands="reload status"

run_as_user() {
	su -m @RAWUSER@ -c "PATH=@SHPATH@ @SHHOME@ @SHPROGRAM@ $1"
}

load_rc_config $name
: ${@SERVICE@_enable:="NO"}
run_rc_command "$1"
)";

constexpr std::string_view kRcdOpenbsd = R"(#!/bin/ksh
daemon="@RAWPROGRAM@"
daemon_flags="resurrect"
daemon_user="@RAWUSER@"

. /etc/rc.d/rc.subr

rc_start() {
	${rcexec} "PATH=@SHPATH@ @SHHOME@ @SHPROGRAM@ resurrect"
}

rc_stop() {
	${rcexec} "PATH=@SHPATH@ @SHHOME@ @SHPROGRAM@ kill"
}

rc_reload() {
	${rcexec} "PATH=@SHPATH@ @SHHOME@ @SHPROGRAM@ reload all"
}

rc_cmd $1
)";

constexpr std::string_view kInitScript = R"(#!/bin/sh
# chkconfig: 2345 98 02
# description: @WHAT@
### BEGIN INIT INFO
# Provides:          @SERVICE@
# Required-Start:    $local_fs $remote_fs $network
# Required-Stop:     $local_fs $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @WHAT@
### END INIT INFO

lock=/var/lock/subsys/@SERVICE@

run_as_user() {
	su -s /bin/sh @RAWUSER@ -c "PATH=@SHPATH@ @SHHOME@ @SHPROGRAM@ $1"
}

case "$1" in
start)
	run_as_user resurrect && { [ ! -d /var/lock/subsys ] || touch "$lock"; }
	;;
stop)
	run_as_user kill && rm -f "$lock"
	;;
restart)
	run_as_user kill
	run_as_user resurrect
	;;
reload)
	run_as_user "reload all"
	;;
status)
	run_as_user list
	;;
*)
	echo "usage: $0 start|stop|restart|reload|status" >&2
	exit 2
	;;
esac
)";

struct Form {
  std::string_view init, text;
};
constexpr Form kForms[] = {{"systemd", kSystemd},   {"openrc", kOpenrc},          {"launchd", kLaunchd},
                           {"rcd", kRcd},           {"rcd-openbsd", kRcdOpenbsd}, {"upstart", kInitScript},
                           {"systemv", kInitScript}};

}  // namespace

std::string_view boot_form(std::string_view init) {
  for (const Form& form : kForms)
    if (form.init == init) return form.text;
  return {};
}

}  // namespace tend::cli
