//! One piece of metadata of an entity.
//!
//! In: JSON that was written when the metadata was added. Out: the same, or its value.

/// One piece of metadata of an [`EntityDocument`](super::EntityDocument).
///
/// ```
/// use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
///
/// let emitter = InMemoryEmitter::new();
/// let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
/// let segment = recorder.begin_segment("import");
/// segment.add_metadata("cart", ["A-1", "B-2"]);
/// segment.close();
///
/// let [document] = &emitter.take()[..] else { panic!("one segment, one document") };
/// let metadata = document.root().metadata_entries().next().expect("the cart");
/// assert_eq!((metadata.namespace(), metadata.key()), ("default", "cart"));
/// assert_eq!(metadata.json(), r#"["A-1","B-2"]"#);
/// assert_eq!(metadata.value()[1], "B-2");
/// # Ok::<(), tower_xray::recorder::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MetadataEntry<'a> {
    namespace: &'a str,
    key: &'a str,
    json: &'a str,
}

impl<'a> MetadataEntry<'a> {
    /// `json` is one valid JSON value.
    pub(super) fn new(namespace: &'a str, key: &'a str, json: &'a str) -> Self {
        Self { namespace, key, json }
    }

    /// Returns the namespace: `default` if none was given.
    #[must_use]
    pub fn namespace(self) -> &'a str {
        self.namespace
    }

    /// Returns the key.
    #[must_use]
    pub fn key(self) -> &'a str {
        self.key
    }

    /// Returns the value as JSON, as it is in the document; nothing is parsed.
    #[must_use]
    pub fn json(self) -> &'a str {
        self.json
    }

    /// Parses the value.
    #[must_use]
    pub fn value(self) -> serde_json::Value {
        serde_json::from_str(self.json).unwrap_or_default()
    }
}
