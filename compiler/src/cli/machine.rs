//! Options that say which machine a trace is for.

use serde::{Deserialize, Serialize};

use super::number::number;
use super::{Trouble, unknown};
use crate::model::{Config, DefinitionName, Model, Var};

/// The word for all features, or all errata.
const ALL: &str = "all";

/// The machine
#[derive(Clone, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "The machine")]
pub(super) struct MachineOptions {
    /// Its features, such as a,b; none if empty; `all` adds all others that can be on together with them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    features: Vec<String>,

    /// Its errata, such as a,b; none if empty; `all` adds all that machines with these features can have
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    errata: Vec<String>,

    /// Its page size, by the name of the geometry [default: the first of the definition]
    #[arg(long, value_name = "NAME")]
    geometry: Option<String>,

    /// A limit that it reads at boot, such as pages=8 [default: the least possible]
    #[arg(long, value_name = "NAME=N", value_delimiter = ',')]
    limit: Vec<String>,
}

impl MachineOptions {
    /// Returns whether an option describes the machine.
    pub(super) fn is_given(&self) -> bool {
        let lists = [&self.features, &self.errata, &self.limit];
        self.geometry.is_some() || lists.iter().any(|list| !list.is_empty())
    }

    /// Returns the configuration that the options describe.
    pub(super) fn config(&self, model: &Model) -> Result<Config, Trouble> {
        let mut config = Config::default();
        if let Some(name) = &self.geometry {
            let geometries = model.geometries.iter().map(|it| &it.named);
            config.geometry = find("geometry", name, geometries)?;
        }
        for name in named(&self.errata) {
            let errata = model.errata.iter().map(|it| &it.named);
            config.errata |= 1 << find("erratum", name, errata)?;
        }
        for name in named(&self.features) {
            let features = model.features.iter().map(|it| &it.named);
            config.features |= 1 << find("feature", name, features)?;
        }
        if self.features.iter().any(|name| name == ALL) {
            config = model.with_all_features(config);
        }
        if self.errata.iter().any(|name| name == ALL) {
            let errata = model.errata.iter().enumerate();
            let possible = errata.filter(|(_, erratum)| erratum.needs.holds(config));
            config.errata |= possible.fold(0, |errata, (index, _)| errata | 1 << index);
        }
        if !model.possible(config) {
            return Err(impossible(model, config));
        }
        Ok(config)
    }

    /// Returns the limits, by index.
    pub(super) fn limits(&self, model: &Model) -> Result<Vec<u64>, Trouble> {
        let mut limits: Vec<u64> = model.limits.iter().map(|limit| limit.least).collect();
        for given in self.limit.iter().filter(|given| !given.is_empty()) {
            let (name, value) = given.split_once('=').ok_or_else(|| {
                Trouble(format!("--limit {given}: write NAME=N, such as pages=8"))
            })?;
            let index = find("limit", name, model.limits.iter().map(|it| &it.named))?;
            let limit = &model.limits[index];
            let value = number(value).map_err(Trouble)?;
            limits[index] = u64::try_from(value)
                .ok()
                .filter(|value| (limit.least..=limit.most).contains(value))
                .ok_or_else(|| {
                    let (least, most) = (limit.least, limit.most);
                    Trouble(format!("limit `{name}` is {least} to {most}, not {value}"))
                })?;
        }
        Ok(limits)
    }
}

/// Returns the names of a list, which may be empty.
fn named(list: &[String]) -> impl Iterator<Item = &String> {
    list.iter().filter(|name| !name.is_empty() && *name != ALL)
}

/// Returns the index of a name.
pub(super) fn find<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a DefinitionName>,
) -> Result<usize, Trouble> {
    let known: Vec<&str> = known.map(|named| named.name.as_str()).collect();
    let found = known.iter().position(|known| *known == name);
    found.ok_or_else(|| unknown(what, name, &known))
}

/// Returns the error for features and errata whose conditions do not hold.
fn impossible(model: &Model, config: Config) -> Trouble {
    let features = model.features.iter().enumerate();
    let features = features.filter(|(index, _)| config.has(*index));
    let features = features.map(|(_, feature)| (&feature.named.name, &feature.needs));
    let errata = model.errata.iter().enumerate();
    let errata = errata.filter(|(index, _)| config.suffers(*index));
    let errata = errata.map(|(_, erratum)| (&erratum.named.name, &erratum.needs));
    let mut lines = vec!["no machine has this set of features and errata:".to_owned()];
    for (name, needs) in features.chain(errata) {
        for term in &needs.terms {
            let (var, wanted) = term.value;
            let (is, what) = match var {
                Var::Feature(other) => (config.has(other), &model.features[other].named),
                Var::Geometry(other) => (config.geometry == other, &model.geometries[other].named),
                Var::Hinted | Var::Keep => continue,
            };
            if is != wanted {
                let verb = if wanted {
                    "needs"
                } else {
                    "cannot be on together with"
                };
                lines.push(format!("`{name}` {verb} `{}`", what.name));
            }
        }
    }
    Trouble(lines.join("\n  "))
}
