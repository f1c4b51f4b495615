// Runs before the page is painted: marks that scripts run, and sets colours that were chosen before.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("depfix-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // no storage in this browser: the system's colours stay
}
