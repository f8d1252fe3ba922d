use std::fmt;

/// Where a value is in the tree, as `route[0].jwt_auth.issuers[1]`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::config) struct Path(Vec<Segment>);

/// One step of a [`Path`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// The path of one who went up from the place, step by step.
    pub(super) fn upwards(mut steps: Vec<Segment>) -> Self {
        steps.reverse();
        Self(steps)
    }

    pub(in crate::config) fn key(&self, key: &str) -> Self {
        self.then(Segment::Key(key.to_owned()))
    }

    pub(in crate::config) fn item(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    fn then(&self, segment: Segment) -> Self {
        let mut longer = self.clone();
        longer.0.push(segment);
        longer
    }

    pub(in crate::config) fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    /// The section that it is in, such as `upstream.photos` or `route[0]`.
    pub(in crate::config) fn section(&self) -> Self {
        Self(self.0.iter().take(2).cloned().collect())
    }

    pub(in crate::config) fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if index == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
