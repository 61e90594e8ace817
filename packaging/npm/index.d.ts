// Each method takes a callback (error, result) as its last argument, or gives a promise.
import type { EventEmitter } from 'events';

declare namespace tend {
  // As PM2's types have it: `error` is null where there was none, which a callback may declare or not.
  type Callback<T> = (error: Error, result: T) => void;
  /** A name, a namespace, an id, 'all', or /a pattern/ between slashes. */
  type Word = string | number;
  type Status = 'online' | 'stopping' | 'stopped' | 'launching' | 'errored' | 'waiting restart' | 'standby';

  interface Settings {
    /** The folder of the daemon; else $TEND_HOME, else ~/.tend. */
    home?: string;
    /** The same, with PM2's words and shapes; under the name pm2 else $PM2_HOME, else ~/.pm2. */
    pm2_home?: string;
    /** Relative paths start here. */
    cwd?: string;
    /** The executable; else $TEND_PROGRAM, else tend of the PATH. */
    program?: string;
    /** A home of its own in the temporary folder; destroy() removes it. */
    independent?: boolean;
    /** false: a daemon that this program starts ends with it. */
    daemon_mode?: boolean;
  }

  /** An app as in a file of apps; every option of tend, in snake_case or camelCase. */
  interface StartOptions {
    name?: string;
    namespace?: string;
    script?: string;
    args?: string | string[];
    scriptArgs?: string[];
    cwd?: string;
    interpreter?: string;
    node_args?: string | string[];
    interpreter_args?: string | string[];
    exec_mode?: 'fork' | 'cluster' | 'fork_mode' | 'cluster_mode';
    instances?: number | 'max';
    env?: Record<string, unknown> | string;
    autorestart?: boolean;
    autostart?: boolean;
    max_memory_restart?: number | string;
    min_uptime?: number | string;
    max_restarts?: number;
    restart_delay?: number;
    exp_backoff_restart_delay?: number;
    stop_exit_codes?: number[];
    cron_restart?: string;
    kill_timeout?: number;
    wait_ready?: boolean;
    listen_timeout?: number;
    watch?: boolean | string | string[];
    ignore_watch?: string | string[];
    out_file?: string;
    error_file?: string;
    log_file?: string | boolean;
    pid_file?: string;
    merge_logs?: boolean;
    log_date_format?: string;
    time?: boolean;
    uid?: string | number;
    gid?: string | number;
    /** A second process of what runs already; under the name pm2 of a script only. */
    force?: boolean;
    updateEnv?: boolean;
    [option: string]: unknown;
  }

  interface FileOptions {
    /** Lays env_<name> of the file over env. */
    env?: string;
    /** Only these apps of the file. */
    only?: string;
    updateEnv?: boolean;
    /** How many are replaced at once. */
    parallel?: number;
  }

  interface ActOptions {
    updateEnv?: boolean;
    env?: Record<string, unknown>;
    parallel?: number;
  }

  /** As `jlist` prints it. */
  interface ProcessDescription {
    name: string;
    pid: number;
    pm_id: number;
    monit: { memory: number; cpu: number };
    pm2_env: Pm2Env;
  }

  interface Pm2Env {
    name: string;
    namespace: string;
    pm_id: number;
    status: Status;
    exec_mode: 'fork_mode' | 'cluster_mode';
    exec_interpreter: string;
    pm_exec_path: string;
    pm_cwd: string;
    pm_out_log_path: string;
    pm_err_log_path: string;
    pm_pid_path: string;
    pm_uptime: number;
    created_at: number | null;
    restart_time: number;
    unstable_restarts: number;
    instances: number;
    env: Record<string, unknown>;
    [key: string]: unknown;
  }

  type Proc = Acted;
  type ProcessStatus = Status;
  type Monit = ProcessDescription['monit'];
  interface Acted {
    name: string;
    namespace: string;
    pm_id: number;
    status: Status;
    restart_time: number;
    pm2_env: {
      name: string;
      namespace: string;
      pm_id: number;
      status: Status;
      restart_time: number;
      env: Record<string, unknown>;
    };
  }

  interface Started extends Omit<Acted, 'pm2_env'> {
    pid?: number;
    process?: { pid: number };
    pm2_env: Acted['pm2_env'] & Partial<Pm2Env>;
    monit?: ProcessDescription['monit'];
  }

  interface Packet {
    id?: number;
    type?: string;
    topic: string;
    data: unknown;
  }

  interface Reply {
    at: number;
    data: { action_name: string; return: unknown };
    process: { pm_id: number; name: string; namespace: string };
  }

  /** What happens ('event': online, exit, restart …) and what apps say ('message'). */
  interface Event {
    kind: 'event' | 'message';
    /** Grows by one with each; a gap: this program read too slowly. */
    n: number;
    at: number;
    event: string;
    id: number;
    name: string;
    pid: number;
    status?: Status;
    restarts?: number;
    data?: unknown;
    raw?: unknown;
  }

  /** Topics: process:event, process:msg, log:out, log:err, pm2:kill, and what apps say; * stands for any text. */
  interface Bus {
    on(topic: string, listener: (...args: any[]) => void): this;
    once(topic: string, listener: (...args: any[]) => void): this;
    off(topic: string, listener?: (...args: any[]) => void): this;
    close(): void;
    sock: EventEmitter & { close(): void };
  }

  interface Done {
    success: boolean;
    output?: string;
  }

  type Startable = string | number | StartOptions | StartOptions[] | { apps: StartOptions[] };
  type Target = Word | StartOptions | StartOptions[] | { apps: StartOptions[] };

  interface Tend {
    readonly custom: new (settings?: Settings) => Tend;

    connect(noDaemon?: boolean): Promise<object>;
    connect(callback: Callback<object>): void;
    connect(noDaemon: boolean, callback: Callback<object>): void;
    disconnect(): Promise<void>;
    close(): Promise<void>;
    destroy(callback?: Callback<void>): Promise<void>;
    kill(): Promise<Done>;
    kill(callback: Callback<Done>): void;
    killDaemon(): Promise<Done>;
    killDaemon(callback: Callback<Done>): void;
    ping(): Promise<object>;
    ping(callback: Callback<object>): void;
    getVersion(): Promise<string>;
    getVersion(callback: Callback<string>): void;

    start(what: Startable, options?: StartOptions | FileOptions): Promise<Started[]>;
    /** PM2 declares one Proc where it gives a list: a callback may declare either. */
    start(what: Startable, callback: Callback<Started[] & Proc>): void;
    start(what: Startable, options: StartOptions | FileOptions, callback: Callback<Started[] & Proc>): void;
    stop(what: Target): Promise<Acted[]>;
    stop(what: Target, callback: Callback<Acted[]>): void;
    restart(what: Target, options?: ActOptions | FileOptions): Promise<Acted[]>;
    restart(what: Target, callback: Callback<Acted[]>): void;
    restart(what: Target, options: ActOptions | FileOptions, callback: Callback<Acted[]>): void;
    reload(what: Target, options?: ActOptions | FileOptions): Promise<Acted[]>;
    reload(what: Target, callback: Callback<Acted[]>): void;
    reload(what: Target, options: ActOptions | FileOptions, callback: Callback<Acted[]>): void;
    delete(what: Target): Promise<Acted[]>;
    delete(what: Target, callback: Callback<Acted[]>): void;
    scale(name: Word, count: number | string): Promise<object>;
    scale(name: Word, count: number | string, callback: Callback<object>): void;
    reset(what: Word): Promise<Done>;
    reset(what: Word, callback: Callback<Done>): void;

    list(): Promise<ProcessDescription[]>;
    list(callback: Callback<ProcessDescription[]>): void;
    describe(what: Word): Promise<ProcessDescription[]>;
    describe(what: Word, callback: Callback<ProcessDescription[]>): void;
    getProcessIdByName(name: string): Promise<number[]>;
    getProcessIdByName(name: string, callback: Callback<number[]>): void;
    getPID(name?: Word): Promise<number[]>;
    getPID(name: Word, callback: Callback<number[]>): void;
    env(id: Word): Promise<Record<string, string>>;
    env(id: Word, callback: Callback<Record<string, string>>): void;
    /** How the processes of an app ended, oldest first. */
    why(what?: Word, last?: number): Promise<object[]>;

    sendDataToProcessId(id: number, packet: Packet): Promise<{ success: boolean; data: Packet }>;
    sendDataToProcessId(packet: Packet): Promise<{ success: boolean; data: Packet }>;
    sendDataToProcessId(id: number, packet: Packet, callback: Callback<{ success: boolean; data: Packet }>): void;
    sendDataToProcessId(packet: Packet, callback: Callback<{ success: boolean; data: Packet }>): void;
    sendSignalToProcessName(signal: string | number, name: Word): Promise<ProcessDescription[]>;
    sendSignalToProcessName(signal: string | number, name: Word, callback: Callback<ProcessDescription[]>): void;
    sendSignalToProcessId(signal: string | number, id: Word): Promise<ProcessDescription[]>;
    sendSignalToProcessId(signal: string | number, id: Word, callback: Callback<ProcessDescription[]>): void;
    sendLineToStdin(id: number, line: string, separator?: string): Promise<{ pm_id: number; line: string }>;
    sendLineToStdin(id: number, line: string, callback: Callback<{ pm_id: number; line: string }>): void;
    sendLineToStdin(
      id: number,
      line: string,
      separator: string,
      callback: Callback<{ pm_id: number; line: string }>,
    ): void;
    trigger(what: Word, action: string, params?: unknown): Promise<Reply[]>;
    trigger(what: Word, action: string, callback: Callback<Reply[]>): void;
    trigger(what: Word, action: string, params: unknown, callback: Callback<Reply[]>): void;
    /** What process.on('message') gets. */
    message(what: Word, message: unknown): Promise<object[]>;
    signal(what: Word, signal: string | number): Promise<ProcessDescription[]>;

    launchBus(): Promise<Bus>;
    launchBus(callback: (error: Error, bus: Bus, socket: Bus['sock']) => void): void;
    events(): AsyncGenerator<Event, void, void>;

    save(force?: boolean): Promise<object>;
    dump(force?: boolean): Promise<object>;
    dump(callback: Callback<object>): void;
    resurrect(): Promise<object>;
    resurrect(callback: Callback<object>): void;
    flush(what?: Word): Promise<ProcessDescription[]>;
    flush(what: Word, callback: Callback<ProcessDescription[]>): void;
    reloadLogs(): Promise<object>;
    reloadLogs(callback: Callback<object>): void;

    /** Commands of the executable; options become flags. */
    startup(...args: unknown[]): Promise<Done>;
    uninstallStartup(...args: unknown[]): Promise<Done>;
    serve(...args: unknown[]): Promise<Done>;
    deploy(...args: unknown[]): Promise<Done>;
    update(...args: unknown[]): Promise<Done>;
    get(...args: unknown[]): Promise<Done>;
    set(...args: unknown[]): Promise<Done>;
    multiset(...args: unknown[]): Promise<Done>;
    unset(...args: unknown[]): Promise<Done>;
    conf(...args: unknown[]): Promise<Done>;
    install(...args: unknown[]): Promise<Done>;
    uninstall(...args: unknown[]): Promise<Done>;
    clearDump(...args: unknown[]): Promise<Done>;

    /** Any request of the daemon. */
    request(method: string, params?: object): Promise<any>;
  }
}

declare const tend: tend.Tend;
export = tend;
