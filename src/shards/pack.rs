//! Packs an incomplete part: one file with all frames, caches in an order that does not depend on that of their
//! computation, and the manifest.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use crate::backbone::{join_activations, join_bottlenecks};
use crate::files::{self, Durability};

use super::ShardError;
use super::list::{ListId, Versions};
use super::part::{CACHE, FORMAT, FRAMES, MANIFEST, Manifest, PACK};
use super::partial::remove;
use super::work::{COMPUTED, LOOSE, Making, SAMPLED, Sampled};

impl Making<'_> {
    /// Joins the loose files and writes the manifest.
    pub fn pack(
        &self,
        sampled: Sampled,
        id: &ListId,
        here: Versions,
    ) -> Result<Manifest, ShardError> {
        self.work
            .stage("Packing frames", Some(sampled.lines.len() as u64));
        let pack = self.dir.join(PACK);
        let loose = self.dir.join(LOOSE);
        let mut out = files::NewFile::beside(&pack)?;
        let mut pack_bytes = 0;
        {
            let mut out = BufWriter::with_capacity(1 << 20, &mut out);
            for (name, line) in sampled.names.iter().zip(&sampled.lines) {
                self.work.check()?;
                let path = loose.join(name);
                let bytes = files::read(&path).map_err(ShardError::io("read", &path))?;
                if blake3::hash(&bytes).to_hex().as_str() != line.blake3 {
                    return Err(ShardError::bad(
                        &path,
                        "was changed while the part was made; remove the part's folder and make it again",
                    ));
                }
                out.write_all(&bytes)
                    .map_err(ShardError::io("write", &pack))?;
                pack_bytes += line.bytes;
                self.work.advance(1);
            }
            out.flush().map_err(ShardError::io("write", &pack))?;
        }
        out.commit(Durability::Renamed)?;
        let mut text = Vec::new();
        for line in &sampled.lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|error| ShardError::io("write", self.dir.join(FRAMES))(error.into()))?;
            text.push(b'\n');
        }
        let mut blake3 = BTreeMap::new();
        blake3.insert(FRAMES.to_owned(), blake3::hash(&text).to_hex().to_string());
        files::write(&self.dir.join(FRAMES), &text, Durability::Renamed)?;
        if !sampled.lines.is_empty() {
            self.pack_rows(&mut blake3)?;
        }
        let manifest = Manifest {
            salamander_part: FORMAT,
            list: id.clone(),
            shard: self.order.shard,
            versions: here,
            films: sampled.films,
            photos: sampled.photos,
            frames: sampled.lines.len() as u64,
            pack_bytes,
            blake3,
        };
        let path = self.dir.join(MANIFEST);
        let text = files::json_with_checksum(&manifest)
            .map_err(|error| ShardError::io("write", &path)(error.into()))?;
        files::write(&path, &text, Durability::Renamed)?;
        for name in [SAMPLED, "list"] {
            let path = self.dir.join(name);
            files::remove_file(&path).map_err(ShardError::io("remove", &path))?;
        }
        for name in [LOOSE, COMPUTED] {
            remove(&self.dir.join(name))?;
        }
        Ok(manifest)
    }

    /// Writes the rows in an order that does not depend on the order of computation, and hashes their keys.
    fn pack_rows(&self, blake3: &mut BTreeMap<String, String>) -> Result<(), ShardError> {
        let cache = self.dir.join(CACHE);
        remove(&cache)?;
        for pin in &self.header.architectures {
            let architecture = pin.architecture(&self.order.list)?;
            let preprocessing = architecture.preprocessing(pin.fit)?;
            let from = [self.dir.join(COMPUTED)];
            let rows = join_bottlenecks(&from, &architecture, &preprocessing, &cache, self.work)?;
            if let Some(wanted) = &self.header.activations {
                let cut = wanted.cut(&architecture, self.work)?;
                let source = wanted.source(&[], &architecture, &preprocessing, &cut);
                let activations = join_activations(&from, &source, &cache, u64::MAX, self.work)?;
                // Rows that could not be cached only caused a warning.
                if activations.added < rows.added * u64::from(source.views.distinct()) {
                    return Err(ShardError::bad(
                        &self.dir.join(COMPUTED),
                        "could not store all activations; free some space and make the part again",
                    ));
                }
            }
        }
        for folder in ["bottlenecks", "activations"] {
            self.hash_keys(folder, blake3)?;
        }
        Ok(())
    }

    /// Hashes the keys of the rows in a folder of the part's cache, and removes other files.
    fn hash_keys(
        &self,
        folder: &str,
        blake3: &mut BTreeMap<String, String>,
    ) -> Result<(), ShardError> {
        let dir = self.dir.join(CACHE).join(folder);
        if !files::exists(&dir) {
            return Ok(());
        }
        for entry in files::read_dir(&dir).map_err(ShardError::io("read", &dir))? {
            let entry = entry.map_err(ShardError::io("read", &dir))?;
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("keys") => {
                    let bytes = files::read(&path).map_err(ShardError::io("read", &path))?;
                    let hash = blake3::hash(&bytes).to_hex().to_string();
                    let name = entry.file_name().to_string_lossy().into_owned();
                    blake3.insert(format!("{CACHE}/{folder}/{name}"), hash);
                }
                Some("rows") => {}
                // Lock files.
                _ => files::remove_file(&path).map_err(ShardError::io("remove", &path))?,
            }
        }
        Ok(())
    }
}
