//! A film that plays: decoded and predicted in the background at its own speed; the window shows the newest frame.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use image::RgbImage;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::heat::{HeatLayer, Made};
use crate::app::images::color_image;
use crate::evaluate::{EvaluateError, ForwardPass, HeatMapper, Prediction, arg_max};
use crate::jobs::{Job, Work, spawn};
use crate::media::{SampledFrame, Sampler, probe};
use crate::project::{Fps, LONGEST_SECS, Project, Sampling};
use crate::train::Run;

/// Width of a frame that plays, pixels.
const WIDTH_PX: u32 = 640;
/// The most frames per second: more are not noticed, and each is predicted.
const MOST_FPS: f64 = 30.0;
/// A frame that is later than this is skipped.
const LATE: Duration = Duration::from_millis(120);
/// But at least one frame is shown in this time.
const SHOWN_EVERY: Duration = Duration::from_millis(250);
/// While waiting, cancellation is checked at this interval.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Whether a heat map is wanted, and for which class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::app) enum WantedHeat {
    #[default]
    No,
    /// For the predicted class.
    Predicted,
    /// For the class with this index.
    Of(usize),
}

/// What the user wants of the film.
#[derive(Debug, Clone, Default)]
struct Wish {
    playing: bool,
    seek: Option<f64>,
    heat: WantedHeat,
}

#[derive(Default)]
struct Control {
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Control {
    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock()
    }

    fn change(&self, change: impl FnOnce(&mut Wish)) {
        change(&mut self.wish());
        self.changed.notify_all();
    }
}

/// The newest frame.
#[derive(Default)]
struct Screen {
    /// The number of frames so far, by which the window notices a new one.
    number: u64,
    time_secs: f64,
    image: Option<ColorImage>,
    heat: Option<Made>,
    prediction: Option<Prediction>,
    /// Whether training images are being measured; the first heat map waits for that.
    preparing: bool,
    error: Option<String>,
}

/// The newest frame, as it is painted.
#[derive(Clone, Default)]
pub struct Playing {
    /// Seconds from the start of the film.
    pub time_secs: f64,
    /// The frame; `None` before the first one.
    pub image: Option<TextureHandle>,
    /// Its heat map, if one is wanted.
    pub heat: Option<HeatLayer>,
    /// Its prediction.
    pub prediction: Option<Prediction>,
    /// Whether the heat map waits for training images.
    pub preparing: bool,
    /// Why nothing is shown.
    pub error: Option<String>,
}

/// A film that is open to be played.
pub struct Player {
    /// The film.
    pub path: PathBuf,
    /// The job that plays it. Not a task of the window: it never ends by itself, and nothing waits for it.
    job: Job<()>,
    control: Arc<Control>,
    screen: Arc<Mutex<Screen>>,
    shown: RefCell<(u64, Playing)>,
}

/// The part of a player on its thread.
struct Film {
    project: Arc<Project>,
    run: Run,
    path: PathBuf,
    ctx: Context,
    control: Arc<Control>,
    screen: Arc<Mutex<Screen>>,
}

impl Player {
    /// A stopped film at a time.
    pub(in crate::app) fn new(
        ctx: &Context,
        (project, run): (&Arc<Project>, &Run),
        path: &Path,
        from_secs: f64,
    ) -> Self {
        let control = Arc::new(Control::default());
        control.wish().seek = Some(from_secs);
        let screen = Arc::new(Mutex::new(Screen::default()));
        let film = Film {
            project: Arc::clone(project),
            run: run.clone(),
            path: path.to_owned(),
            ctx: ctx.clone(),
            control: Arc::clone(&control),
            screen: Arc::clone(&screen),
        };
        Self {
            path: path.to_owned(),
            job: spawn("playing", Work::new(), move |work| film.play(work)),
            control,
            screen,
            shown: RefCell::default(),
        }
    }

    /// Checks whether the job has failed.
    pub(in crate::app) fn follow(&mut self) {
        if let Some(Err(error)) = self.job.try_finish() {
            self.screen.lock().error = Some(error.to_string());
        }
    }

    /// Whether it plays.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.control.wish().playing
    }

    pub(in crate::app) fn play(&self, playing: bool) {
        self.control.change(|wish| wish.playing = playing);
    }

    pub(in crate::app) fn seek(&self, secs: f64) {
        self.control.change(|wish| wish.seek = Some(secs.max(0.0)));
    }

    /// Sets whether the heat map is wanted, and for which class.
    pub(in crate::app) fn want_heat(&self, heat: WantedHeat) {
        if self.control.wish().heat != heat {
            self.control.change(|wish| wish.heat = heat);
        }
    }

    /// The newest frame as textures.
    pub fn now(&self, ctx: &Context) -> Playing {
        let mut shown = self.shown.borrow_mut();
        let mut screen = self.screen.lock();
        let (number, playing) = &mut *shown;
        playing.preparing = screen.preparing;
        playing.error.clone_from(&screen.error);
        if *number != screen.number {
            *number = screen.number;
            playing.time_secs = screen.time_secs;
            playing.prediction.clone_from(&screen.prediction);
            if let Some(image) = screen.image.take() {
                if let Some(texture) = &mut playing.image {
                    texture.set(image, TextureOptions::LINEAR);
                } else {
                    let texture = ctx.load_texture("film", image, TextureOptions::LINEAR);
                    playing.image = Some(texture);
                }
            }
            playing.heat = screen.heat.take().map(|made| made.texture(ctx));
        }
        playing.clone()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.job.abandon();
        self.control.changed.notify_all();
    }
}

/// Why a stretch of playing ended.
enum End {
    /// Another time is wanted.
    Seek(f64),
    /// The end of the film.
    Over,
}

/// What to do with the next frame.
enum Next {
    Show,
    LeaveOut,
    Seek(f64),
}

/// Computes when each frame is due.
struct Clock {
    /// A time of the film and when it was shown; `None` while it is stopped.
    begun: Option<(Instant, f64)>,
    /// When the last frame was shown, and its time.
    shown: Option<(Instant, f64)>,
}

impl Film {
    /// Plays until it is cancelled.
    fn play(&self, work: &Work) -> Result<(), EvaluateError> {
        let played = self.played(work);
        // It has failed: the error must be shown.
        self.ctx.request_repaint();
        played
    }

    fn played(&self, work: &Work) -> Result<(), EvaluateError> {
        let mut show = Show {
            mapper: HeatMapper::plain(&self.project, &self.run)?,
            compared: false,
            last: None,
            heat: WantedHeat::No,
        };
        let rate = probe(&self.path)?.average_fps.unwrap_or(25.0);
        let fps = Fps(rate.clamp(1.0, MOST_FPS));
        loop {
            // Waits for the first time, and at the end of the film for another one.
            let from_secs = self.wait_for_seek(&mut show, work)?;
            let mut from_secs = from_secs;
            while let End::Seek(to) = self.stretch(fps, from_secs, &mut show, work)? {
                from_secs = to;
            }
            self.control.change(|wish| wish.playing = false);
            self.ctx.request_repaint();
        }
    }

    fn wait_for_seek(&self, show: &mut Show, work: &Work) -> Result<f64, EvaluateError> {
        loop {
            work.check()?;
            let mut wish = self.control.wish();
            if let Some(to) = wish.seek.take() {
                return Ok(to);
            }
            if wish.playing {
                // Played again after its end.
                return Ok(0.0);
            }
            let heat = wish.heat;
            if heat == show.heat {
                self.control.changed.wait_for(&mut wish, LOOK_UP);
            } else {
                drop(wish);
                show.again(self, heat, work)?;
            }
        }
    }

    /// Shows the film from a time on until another one is wanted.
    fn stretch(
        &self,
        fps: Fps,
        from_secs: f64,
        show: &mut Show,
        work: &Work,
    ) -> Result<End, EvaluateError> {
        let sampling = Sampling {
            fps,
            width_px: Some(WIDTH_PX),
            from_secs: (from_secs > 0.0).then_some(from_secs),
            ..Sampling::default()
        };
        let mut sampler = Sampler::open(&self.path, &sampling)?;
        let mut clock = Clock {
            begun: None,
            shown: None,
        };
        while let Some(frame) = sampler.next_frame(work)? {
            match self.when(frame.time_secs, &mut clock, show, work)? {
                Next::Seek(to) => return Ok(End::Seek(to)),
                Next::LeaveOut => {}
                Next::Show => {
                    let heat = self.control.wish().heat;
                    let shown_secs = frame.time_secs;
                    show.frame(self, frame, heat, work)?;
                    clock.shown = Some((Instant::now(), shown_secs));
                }
            }
        }
        Ok(End::Over)
    }

    /// Waits until a frame is due. The first of a stretch is due at once, even if the film is stopped.
    fn when(
        &self,
        time_secs: f64,
        clock: &mut Clock,
        show: &mut Show,
        work: &Work,
    ) -> Result<Next, EvaluateError> {
        loop {
            work.check()?;
            let mut wish = self.control.wish();
            if let Some(to) = wish.seek.take() {
                return Ok(Next::Seek(to));
            }
            let Some((last, last_secs)) = clock.shown else {
                return Ok(Next::Show);
            };
            let heat = wish.heat;
            if !wish.playing {
                clock.begun = None;
                if heat == show.heat {
                    self.control.changed.wait_for(&mut wish, LOOK_UP);
                } else {
                    drop(wish);
                    show.again(self, heat, work)?;
                }
                continue;
            }
            let now = Instant::now();
            let (begun, begun_secs) = *clock.begun.get_or_insert((now, last_secs));
            let played_secs = (time_secs - begun_secs).clamp(0.0, LONGEST_SECS);
            let due = begun + Duration::from_secs_f64(played_secs);
            if now + Duration::from_millis(1) < due {
                let wait = (due - now).min(LOOK_UP);
                self.control.changed.wait_for(&mut wish, wait);
            } else if now < due + LATE {
                return Ok(Next::Show);
            } else if last.elapsed() < SHOWN_EVERY {
                return Ok(Next::LeaveOut);
            } else {
                // This computer is slower than the film: few frames are better than none.
                return Ok(Next::Show);
            }
        }
    }
}

/// Converts a frame to what is shown.
struct Show {
    mapper: HeatMapper,
    /// Whether maps are already scaled by the training images.
    compared: bool,
    last: Option<(RgbImage, ForwardPass)>,
    /// The wanted heat map when the last frame was shown.
    heat: WantedHeat,
}

impl Show {
    fn frame(
        &mut self,
        film: &Film,
        frame: SampledFrame,
        heat: WantedHeat,
        work: &Work,
    ) -> Result<(), EvaluateError> {
        let image = frame.image;
        let seen = self.mapper.forward(&image)?;
        // The first map takes seconds: the frame does not wait for it.
        let waits = heat != WantedHeat::No && !self.compared;
        let made = if waits {
            self.heat = WantedHeat::No;
            None
        } else {
            self.map(film, &image, &seen, heat, work)?
        };
        let mut screen = film.screen.lock();
        screen.number += 1;
        screen.time_secs = frame.time_secs;
        screen.image = Some(color_image(&image));
        screen.heat = made;
        screen.prediction = Some(seen.prediction.clone());
        drop(screen);
        self.last = Some((image, seen));
        film.ctx.request_repaint();
        if waits {
            self.again(film, heat, work)?;
        }
        Ok(())
    }

    /// Shows the last frame again, with another heat map.
    fn again(&mut self, film: &Film, heat: WantedHeat, work: &Work) -> Result<(), EvaluateError> {
        let Some((image, seen)) = self.last.take() else {
            self.heat = heat;
            return Ok(());
        };
        let made = self.map(film, &image, &seen, heat, work)?;
        let mut screen = film.screen.lock();
        screen.number += 1;
        screen.heat = made;
        drop(screen);
        self.last = Some((image, seen));
        film.ctx.request_repaint();
        Ok(())
    }

    fn map(
        &mut self,
        film: &Film,
        image: &RgbImage,
        seen: &ForwardPass,
        heat: WantedHeat,
        work: &Work,
    ) -> Result<Option<Made>, EvaluateError> {
        self.heat = heat;
        if heat == WantedHeat::No {
            return Ok(None);
        }
        if !self.compared {
            let preparing = |is: bool| {
                film.screen.lock().preparing = is;
                film.ctx.request_repaint();
            };
            preparing(true);
            let compared = self.mapper.compare(&film.project, &film.run, work);
            preparing(false);
            compared?;
            self.compared = true;
        }
        let class = match heat {
            WantedHeat::Of(class) => class,
            WantedHeat::No | WantedHeat::Predicted => arg_max(&seen.probabilities),
        };
        let map = self.mapper.map(seen, class)?;
        let exact = self.mapper.is_exact();
        Ok(Some(Made::of(&map, image.dimensions(), exact)))
    }
}
