//! Restrictions that the decoding process puts on itself before it reads anything.
//!
//! It needs only its socket, files that are passed open, and memory. On Linux it can open no file (Landlock, if the
//! kernel supports it), and a system call filter (seccomp) refuses sockets, programs, signals to other processes and
//! everything that writes, renames or deletes. The filter lists what is refused rather than what is needed, so that it
//! works with all versions of the C library and of FFmpeg. On other systems only the size limits apply.

use rustix::process::{Resource, Rlimit, setrlimit};

use super::Confinement;

/// The smallest memory limit, in bytes. An 8K image in 10 bits takes some 100 MB, and a decoder with its threads holds
/// thirty.
const LEAST_MEMORY: u64 = 2 << 30;
const MOST_MEMORY: u64 = 8 << 30;

/// Applies the restrictions. The result states which of them the system supports.
pub(super) fn enter() -> Confinement {
    let limit = |resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).is_ok()
    };
    // No file can grow, and a crash leaves no core dump.
    let sized = limit(Resource::Fsize, 0) && limit(Resource::Core, 0);
    if !sized {
        log::warn!("the decoder's files are not bounded");
    }
    let memory_bytes = memory().filter(|most| limit(Resource::Data, *most));
    Confinement {
        no_files: system::no_files(),
        no_calls: system::no_calls(),
        memory_bytes,
    }
}

/// Half of the machine's memory, within bounds.
#[cfg(target_os = "linux")]
#[allow(
    clippy::unnecessary_wraps,
    reason = "other systems do not enforce such a limit"
)]
fn memory() -> Option<u64> {
    let info = rustix::system::sysinfo();
    let all = info.totalram as u64 * u64::from(info.mem_unit);
    Some((all / 2).clamp(LEAST_MEMORY, MOST_MEMORY))
}

/// Other systems do not enforce such a limit.
#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::BTreeMap;
    use std::error::Error;

    use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };

    /// Prevents opening files from now on; returns whether that is supported.
    pub fn no_files() -> bool {
        let enter = || {
            Ruleset::default()
                .handle_access(AccessFs::from_all(ABI::V5))?
                .handle_access(AccessNet::from_all(ABI::V5))?
                .create()?
                .restrict_self()
        };
        enter().is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
    }

    /// Installs the system call filter; returns whether that is supported.
    pub fn no_calls() -> bool {
        filter()
            .inspect_err(|error| log::warn!("no filter of system calls: {error}"))
            .is_ok()
    }

    /// Calls that are always refused.
    const REFUSED: &[i64] = &[
        // Networks and other programs.
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_shmget,
        libc::SYS_shmat,
        // Files.
        libc::SYS_openat2,
        libc::SYS_truncate,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_mkdirat,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mknodat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_open_by_handle_at,
        // The system.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_acct,
        libc::SYS_syslog,
        libc::SYS_sethostname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
    ];

    /// Refused calls that newer architectures do not have.
    #[cfg(target_arch = "x86_64")]
    const REFUSED_HERE: &[i64] = &[
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_creat,
        libc::SYS_unlink,
        libc::SYS_rmdir,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_mkdir,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mknod,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const REFUSED_HERE: &[i64] = &[];

    fn filter() -> Result<(), Box<dyn Error>> {
        let when = |argument, op, value: u64| {
            let length = SeccompCmpArgLen::Dword;
            let condition = SeccompCondition::new(argument, length, op, value)?;
            SeccompRule::new(vec![condition])
        };
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED
            .iter()
            .chain(REFUSED_HERE)
            .map(|call| (*call, Vec::new()))
            .collect();
        // Files may be opened only for reading.
        let writing = |argument| {
            let masked = |mask: i32, value: i32| {
                when(argument, SeccompCmpOp::MaskedEq(mask as u64), value as u64)
            };
            Ok::<_, seccompiler::BackendError>(vec![
                masked(libc::O_ACCMODE, libc::O_WRONLY)?,
                masked(libc::O_ACCMODE, libc::O_RDWR)?,
                masked(libc::O_CREAT, libc::O_CREAT)?,
            ])
        };
        rules.insert(libc::SYS_openat, writing(2)?);
        #[cfg(target_arch = "x86_64")]
        rules.insert(libc::SYS_open, writing(1)?);
        // Threads may be created, but no processes.
        let thread = libc::CLONE_THREAD as u64;
        let process = when(0, SeccompCmpOp::MaskedEq(thread), 0)?;
        rules.insert(libc::SYS_clone, vec![process]);
        // Signals and limits may be applied only to itself.
        let me = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Ne, me)?]);
        rules.insert(libc::SYS_prlimit64, vec![when(0, SeccompCmpOp::Ne, 0)?]);

        let architecture = std::env::consts::ARCH.try_into()?;
        let refusing = |rules, errno: i32| -> Result<BpfProgram, seccompiler::BackendError> {
            let refuse = SeccompAction::Errno(errno as u32);
            SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()
        };
        // The flags of `clone3` are in memory, which a filter cannot inspect: without it the C library uses `clone`.
        let newer = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        apply_filter(&refusing(newer, libc::ENOSYS)?)?;
        apply_filter(&refusing(rules, libc::EPERM)?)?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub fn no_files() -> bool {
        false
    }

    pub fn no_calls() -> bool {
        false
    }
}
