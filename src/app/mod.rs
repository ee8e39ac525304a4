//! The state of the window and the actions on it; paints nothing.
