//! The served files, in memory.

use std::collections::BTreeMap;

/// Files of a page by name, separated by `/`.
#[derive(Debug, Clone, Default)]
pub struct Site {
    files: BTreeMap<String, Vec<u8>>,
}

/// The file for a path that ends with `/`.
const INDEX: &str = "index.html";

impl Site {
    /// A site with these files.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self {
            files: files.into_iter().collect(),
        }
    }

    /// The file for a name under the site's path, with its media type. Names are only looked up in the map, so no
    /// other file can be reached.
    pub(super) fn find(&self, name: &str) -> Option<(&'static str, &[u8])> {
        let name = if name.is_empty() { INDEX } else { name };
        let bytes = self.files.get(name)?;
        Some((content_type(name), bytes))
    }

    /// Whether a name is that of the page itself.
    pub(super) fn is_page(name: &str) -> bool {
        name.is_empty() || name == INDEX
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
