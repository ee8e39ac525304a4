//! Limits the program's memory while it uses a model from an untrusted origin.

/// Limits the program's memory to three quarters of the machine's, or less if the limit was lower before. A model that
/// needs more ends with ONNX Runtime's error, instead of the system ending some program. Other systems than Linux do
/// not enforce such a limit.
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
            // The decoding process sets a limit of its own.
            maximum: before.maximum,
        };
        if let Err(error) = setrlimit(Resource::Data, limit) {
            log::warn!("the memory of models is not limited: {error}");
        }
    });
}

/// Does nothing: this system does not enforce such a limit.
#[cfg(not(target_os = "linux"))]
pub fn bound_memory() {}
