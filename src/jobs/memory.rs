//! How much memory the program may take once it works with a model that came from anywhere.

/// From now on the program gets at most three quarters of the machine's memory, or less where less was allowed before: a model
/// that wants more ends with ONNX Runtime's error, where the system would end some program or other. Elsewhere than on Linux
/// the system does not keep to such a limit.
#[cfg(target_os = "linux")]
pub fn bound_memory() {
    use std::sync::Once;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    static BOUND: Once = Once::new();
    BOUND.call_once(|| {
        let info = rustix::system::sysinfo();
        let all = info.totalram as u64 * u64::from(info.mem_unit);
        let most = all / 4 * 3;
        let before = getrlimit(Resource::Data);
        let limit = Rlimit {
            current: Some(before.current.map_or(most, |before| before.min(most))),
            // The process that decodes sets its own.
            maximum: before.maximum,
        };
        if let Err(error) = setrlimit(Resource::Data, limit) {
            log::warn!("the memory of models is not bounded: {error}");
        }
    });
}

/// As on Linux, where the system keeps to such a limit; here it does not.
#[cfg(not(target_os = "linux"))]
pub fn bound_memory() {}
