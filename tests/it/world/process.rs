//! Runs of the program under test: a clean environment, a limit in time, its peak of memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::scratch::{self, Scratch};
use super::server::PASSWORD;
use super::{canary, terminal};

/// Where states are kept, below the home directory.
const STATES: &str = ".local/state/mailtide";

/// Who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// The user of the tests.
    Me,
    /// Somebody who meets closed doors: `nobody` where the tests run as root.
    Unprivileged,
}

/// A home directory of its own, and the program in it.
pub struct Mailtide {
    home: PathBuf,
    program: PathBuf,
    run_as: As,
    /// Whether its pauses take a tenth of their time: for tests in which nobody is slow.
    pub hurries: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// The most memory it held, in KiB (`VmHWM`), as last seen within two milliseconds of its end.
    pub peak_kib: u64,
    pub took: Duration,
}

impl Outcome {
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Fails, with all it said, unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Outcome {
        assert_eq!(self.code(), code, "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr);
        self
    }

    /// Fails unless one of the two outputs has each of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Outcome {
        for word in words {
            let found = self.stdout.contains(word) || self.stderr.contains(word);
            assert!(found, "nothing says `{word}`\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        }
        self
    }
}

impl Mailtide {
    pub fn new(scratch: &Scratch, run_as: As) -> Mailtide {
        let home = scratch.directory("mailtide-home");
        let mut program = PathBuf::from(env!("CARGO_BIN_EXE_mailtide"));
        if run_as == As::Unprivileged && !scratch::unprivileged().is_me {
            // The build may stand where only root may go.
            let copy = scratch.path().join("mailtide");
            fs::copy(&program, &copy).unwrap();
            program = copy;
        }
        Mailtide { home, program, run_as, hurries: false }
    }

    /// The directory that is its `$HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where it keeps its states.
    pub fn state(&self) -> PathBuf {
        self.home.join(STATES)
    }

    /// A command that knows the test account's password and nothing of the user who runs the tests.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// A shell command line with the same environment and user; `$MAILTIDE` is the program.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        self.prepare(&mut command);
        command.arg("-c").arg(line).env("MAILTIDE", &self.program);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.env_clear().current_dir(&self.home).stdin(Stdio::null());
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", &self.home).env("LANG", "C.UTF-8").env("MAILTIDE_PASSWORD", PASSWORD);
        if self.hurries {
            command.env("MAILTIDE_FAULT", "slow@0");
        }
        if self.run_as == As::Unprivileged {
            scratch::drop_privileges(command);
        }
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        Running::start(self.command(args), &self.home).wait()
    }

    /// Runs what [`Mailtide::command`] made and a test went on with.
    pub fn run_command(&self, command: Command) -> Outcome {
        Running::start(command, &self.home).wait()
    }

    /// Starts a run that the test looks after.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args), &self.home)
    }

    /// Runs a shell line; see [`Mailtide::shell`].
    pub fn run_shell(&self, line: &str) -> Outcome {
        Running::start(self.shell(line), &self.home).wait()
    }
}

/// A run that goes on; killed when dropped.
pub struct Running {
    child: Child,
    started: Instant,
    outputs: [PathBuf; 2],
    home: PathBuf,
    began: SystemTime,
    peak_kib: u64,
}

impl Running {
    /// Outputs go to files, so that nobody has to read them meanwhile.
    fn start(mut command: Command, dir: &Path) -> Running {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let outputs = ["stdout", "stderr"].map(|n| dir.join(format!(".{n}-{number}")));
        command.stdout(File::create(&outputs[0]).unwrap()).stderr(File::create(&outputs[1]).unwrap());
        let (started, began) = (Instant::now(), SystemTime::now());
        // A copy of the program is busy while a process that another thread has just forked still has it open.
        let busy = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ExecutableFileBusy;
        let child = loop {
            match command.spawn() {
                Ok(child) => break child,
                Err(e) if busy(&e) && started.elapsed() < Duration::from_secs(10) => std::thread::yield_now(),
                Err(e) => panic!("{command:?}: {e}"),
            }
        };
        Running { child, started, outputs, home: dir.to_owned(), began, peak_kib: 0 }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`; whether it was still running.
    pub fn kill(&mut self) -> bool {
        let was_running = matches!(self.child.try_wait(), Ok(None));
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.assert_said_and_kept_well();
        }
        was_running
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// What it has said so far, on stdout and stderr.
    pub fn said(&self) -> String {
        self.outputs.iter().map(|o| String::from_utf8_lossy(&fs::read(o).unwrap()).into_owned()).collect()
    }

    pub fn wait(self) -> Outcome {
        self.wait_at_most(Duration::from_secs(300))
    }

    /// Waits until it has ended; fails when that takes longer than `limit`, which is meant for runs that hang.
    pub fn wait_at_most(mut self, limit: Duration) -> Outcome {
        let status = loop {
            self.sample();
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(self.started.elapsed() < limit, "it runs longer than {limit:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = self.started.elapsed();
        self.assert_said_and_kept_well();
        let [stdout, stderr] =
            [0, 1].map(|i: usize| String::from_utf8_lossy(&fs::read(&self.outputs[i]).unwrap()).into_owned());
        Outcome { status, stdout, stderr, peak_kib: self.peak_kib, took }
    }

    /// Fails when the account's password is in what it said or keeps, or a terminal would act on what it said.
    fn assert_said_and_kept_well(&self) {
        // The test's own directory may have gone before this.
        for said in self.outputs.iter().filter_map(|output| fs::read(output).ok()) {
            canary::assert_unsaid(&String::from_utf8_lossy(&said));
            terminal::assert_shown(&said);
        }
        canary::assert_unkept(&self.home, &self.home.join(STATES), self.began);
    }

    /// `VmHWM` only grows and, unlike `ru_maxrss`, does not begin with the memory of the process that forked.
    fn sample(&mut self) {
        let Ok(text) = fs::read_to_string(format!("/proc/{}/status", self.child.id())) else { return };
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        self.peak_kib = self.peak_kib.max(kib.unwrap_or(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
