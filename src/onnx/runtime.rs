//! Finds and loads ONNX Runtime's shared library.
//!
//! The library is checked before it is passed to `ort`, because `ort` panics without one: all uses of ONNX Runtime in
//! this layer go through [`environment`].

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ort::environment::Environment;
use ort::logging::LogLevel;
use parking_lot::Mutex;

use crate::files;

use super::OnnxError;

/// The loaded library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// Its path.
    pub path: PathBuf,
    /// Its version: "1.32.0".
    pub version: String,
    /// Execution providers built into it.
    pub providers: Vec<String>,
}

struct Loaded {
    info: RuntimeInfo,
    environment: Environment,
}

static LOADED: OnceLock<Loaded> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// The library's file name on this system.
#[cfg(target_os = "windows")]
const FILE_NAME: &str = "onnxruntime.dll";
#[cfg(target_os = "macos")]
const FILE_NAME: &str = "libonnxruntime.dylib";
#[cfg(not(any(target_os = "windows", target_os = "macos")))]
const FILE_NAME: &str = "libonnxruntime.so";

/// Loads the library on first use (from `ORT_DYLIB_PATH`, beside the executable, `../lib/salamander`, the build
/// folder) and returns its properties. Never panics if it is missing. After a failure the next call tries again, so
/// that a running program finds a library that was installed meanwhile.
pub fn runtime_info() -> Result<&'static RuntimeInfo, OnnxError> {
    Ok(&loaded()?.info)
}

/// The environment of all sessions; loads the library on first use.
pub(super) fn environment() -> Result<&'static Environment, OnnxError> {
    Ok(&loaded()?.environment)
}

fn loaded() -> Result<&'static Loaded, OnnxError> {
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let _guard = LOADING.lock();
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let (path, version) = find(
        std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from),
        &usual_places(),
    )?;
    let loaded = load(path, version)?;
    Ok(LOADED.get_or_init(|| loaded))
}

/// The paths that are searched if `ORT_DYLIB_PATH` is not set.
fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(folder) = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.canonicalize().ok())
        .and_then(|exe| exe.parent().map(Path::to_path_buf))
    {
        places.push(folder.join(FILE_NAME));
        places.push(folder.join("../lib/salamander").join(FILE_NAME));
    }
    places.push(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/onnxruntime/lib")
            .join(FILE_NAME),
    );
    places
}

/// The first usable library, and its version. If the user named a library, no other is used.
fn find(named: Option<PathBuf>, places: &[PathBuf]) -> Result<(PathBuf, String), OnnxError> {
    if let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) {
        // The library's folder is accepted, too.
        let path = if path.is_dir() {
            path.join(FILE_NAME)
        } else {
            path
        };
        if !path.is_file() {
            return Err(OnnxError::Runtime(format!(
                "ORT_DYLIB_PATH is “{}”, which is not a file",
                path.display()
            )));
        }
        let path = path.canonicalize().unwrap_or(path);
        let version = version_of(&path)?;
        return Ok((path, version));
    }
    let mut first_error = None;
    for place in places.iter().filter(|place| place.is_file()) {
        let path = place.canonicalize().unwrap_or_else(|_| place.clone());
        match version_of(&path) {
            Ok(version) => return Ok((path, version)),
            Err(error) => {
                log::warn!("{error}");
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| {
        let looked_in = places
            .iter()
            .map(|place| format!("“{}”", place.display()))
            .collect::<Vec<_>>()
            .join(", ");
        OnnxError::Runtime(format!("its library was not found at {looked_in}"))
    }))
}

/// Opens the library and returns its version; an error if it is too old.
fn version_of(path: &Path) -> Result<String, OnnxError> {
    let broken = |why: String| OnnxError::Runtime(format!("“{}” {why}", path.display()));
    if files::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(broken("is empty".into()));
    }
    // SAFETY: opening a shared library runs its initialisers; the file is one the user or the installation put
    // there to be loaded, and ONNX Runtime's initialisers have no preconditions.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|error| broken(format!("is not a library for this system ({error})")))?;
    let version = {
        // SAFETY: a library that exports `OrtGetApiBase` exports it with this signature (onnxruntime_c_api.h).
        let get_base = unsafe {
            library
                .get::<unsafe extern "system" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
        }
        .map_err(|_| broken("is not ONNX Runtime".into()))?;
        // SAFETY: the function takes nothing and returns a pointer to a static structure, or null.
        let base = unsafe { get_base().as_ref() }
            .ok_or_else(|| broken("offers no ONNX Runtime interface".into()))?;
        // SAFETY: `GetVersionString` returns a static string that ends with a zero byte.
        let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
        version.to_string_lossy().into_owned()
    };
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(broken(format!("has an unreadable version “{version}”")));
    };
    if (major, minor) < (1, ort::MINOR_VERSION) {
        return Err(broken(format!(
            "is version {version}, but 1.{} or newer is needed",
            ort::MINOR_VERSION
        )));
    }
    Ok(version)
}

fn load(path: PathBuf, version: String) -> Result<Loaded, OnnxError> {
    let environment = ort::init_from(&path)
        .map_err(|error| OnnxError::Runtime(error.to_string()))?
        .with_name("salamander")
        .with_telemetry(false)
        .with_logger(Arc::new(logged))
        .build()
        .map_err(|error| OnnxError::Runtime(error.message().to_owned()))?;
    environment.set_log_level(LogLevel::Error);
    log::info!("ONNX Runtime {version} from {}", path.display());
    let info = RuntimeInfo {
        path,
        version,
        providers: providers(),
    };
    Ok(Loaded { info, environment })
}

/// Logs a message of ONNX Runtime; errors are returned as well.
fn logged(level: LogLevel, _category: &str, _id: &str, place: &str, message: &str) {
    let level = match level {
        LogLevel::Verbose => log::Level::Trace,
        LogLevel::Info => log::Level::Debug,
        LogLevel::Warning => log::Level::Info,
        LogLevel::Error | LogLevel::Fatal => log::Level::Warn,
    };
    log::log!(target: "onnxruntime", level, "{place}: {message}");
}

/// Execution providers of this build of the library. `ort` itself only knows those selected when it was compiled.
/// Called after loading the library, so that `ort::api` cannot panic.
fn providers() -> Vec<String> {
    let api = ort::api();
    let mut names = std::ptr::null_mut();
    let mut count = 0;
    // SAFETY: both pointers are valid for writing; on success `names` points to `count` strings.
    let status = unsafe { (api.GetAvailableProviders)(&raw mut names, &raw mut count) };
    // SAFETY: `status` came from ONNX Runtime just now and is used once.
    if unsafe { ort::Error::result_from_status(status) }.is_err() || names.is_null() {
        return Vec::new();
    }
    let found = (0..usize::try_from(count).unwrap_or(0))
        .map(|index| {
            // SAFETY: `index` is under the number of strings, each of which ends with a zero byte.
            let name = unsafe { CStr::from_ptr(*names.add(index)) };
            name.to_string_lossy().into_owned()
        })
        .collect();
    // SAFETY: this releases the result of `GetAvailableProviders`, once.
    let status = unsafe { (api.ReleaseAvailableProviders)(names, count) };
    // SAFETY: as above.
    if let Err(error) = unsafe { ort::Error::result_from_status(status) } {
        log::debug!("the list of execution providers was not released: {error}");
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_that_says_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(FILE_NAME);
        let error = find(None, std::slice::from_ref(&place)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&place.display().to_string()), "{message}");
        assert!(message.contains("packaging/setup.sh"), "{message}");
    }

    #[test]
    fn a_named_library_that_is_not_there_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(Some(folder.path().join("gone.so")), &[]).unwrap_err();
        assert!(error.to_string().contains("ORT_DYLIB_PATH"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        for contents in [&b""[..], b"not a library"] {
            std::fs::write(&path, contents).unwrap();
            assert!(find(Some(path.clone()), &[]).is_err());
        }
    }

    #[test]
    fn the_installed_library_loads_and_names_its_providers() {
        let info = runtime_info().unwrap();
        assert!(info.path.is_absolute());
        assert!(info.version.starts_with("1."), "{}", info.version);
        assert!(
            info.providers.contains(&"CPUExecutionProvider".to_owned()),
            "{:?}",
            info.providers
        );
    }
}
