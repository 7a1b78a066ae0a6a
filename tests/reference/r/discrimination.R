# Concordance after Harrell and Uno, censoring survival, Brier score, predicted survival of a Cox model.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))

frames <- list(
  hcc_rfs = list(time = hcc$RFS, event = hcc$Recurrence, tau = 36, data = "hcc_resection",
                 fit = coxph(Surv(RFS, Recurrence) ~ high + Age + Gender + AFP + Tumorsize, hcc, control = strict)),
  hcc_os = list(time = hcc$OS, event = hcc$Death, tau = 36, data = "hcc_resection",
                fit = coxph(Surv(OS, Death) ~ high + Age + Gender + AFP + Tumorsize, hcc, control = strict)),
  colon_os = list(time = deaths$time, event = deaths$status, tau = 1826.25, data = "colon",
                  fit = coxph(Surv(time, status) ~ lev + lev5fu + age + sex + node4, deaths, control = strict)),
  sim = list(time = simulated$time, event = simulated$event, tau = 10, data = "simulated",
             fit = coxph(Surv(time, event) ~ x1 + x2 + x3, simulated, control = strict))
)

for (name in names(frames)) {
  f <- frames[[name]]
  x <- model.matrix(f$fit)
  d <- data.frame(time = f$time, event = f$event, score = as.vector(scale(x, scale = FALSE) %*% coef(f$fit)))
  # patients with the same covariates have the same score, whatever the last digit says
  d$score <- round(d$score, 12)
  # a score with many equal values, to have tied pairs
  d$coarse <- round(d$score, 1)
  id <- function(...) paste0(c("c", name, ...), collapse = ".")
  for (score in c("score", "coarse")) for (kind in c("harrell", "uno")) for (limit in c("all", "tau")) {
    arguments <- list(as.formula(paste("Surv(time, event) ~", score)), data = d, reverse = TRUE,
                      timewt = c(harrell = "n", uno = "n/G2")[[kind]])
    if (limit == "tau") arguments$ymax <- f$tau
    r <- do.call(concordance, arguments)
    record(id(score, kind, limit), c(r$concordance, sqrt(r$var), r$count[c("concordant", "discordant", "tied.x")]),
           paste0("survival::concordance(timewt='", arguments$timewt, "')"), f$data)
  }
  # probability of being uncensored just before a time; events come before censorings at one time
  base <- survfit(Surv(d$time, d$event) ~ 1)
  at_risk <- base$n.risk - base$n.event
  curve <- c(1, cumprod(ifelse(at_risk > 0, 1 - base$n.censor / at_risk, 1)))
  before <- function(t) curve[findInterval(t, base$time, left.open = TRUE) + 1]
  after <- function(t) curve[findInterval(t, base$time) + 1]
  times <- f$tau * c(0.25, 0.5, 0.75, 1)
  record(id("censoring"), before(times), "survival::survfit, one minus censored over at risk after the events", f$data)
  # survival predicted with Breslow's baseline hazard
  h <- survfit(f$fit, newdata = as.data.frame(as.list(colMeans(x))), stype = 2, ctype = 1, se.fit = FALSE)
  s <- exp(-approx(c(0, h$time), c(0, h$cumhaz), f$tau, method = "constant", f = 0)$y * exp(d$score))
  record(id("predicted"), s, "survival::survfit.coxph(ctype=1)", f$data)
  # Graf 1999
  free <- d$time > f$tau
  w <- ifelse(free, 1 / after(f$tau), ifelse(d$event == 1, 1 / before(d$time), 0))
  brier <- function(p) mean(w * (free - p)^2)
  null <- summary(base, times = f$tau)$surv
  record(id("brier"), c(brier(s), brier(null), 1 - brier(s) / brier(null)), "Graf 1999 with survival::survfit", f$data)
}
write_values("discrimination", "survival")
