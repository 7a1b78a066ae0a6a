# Effects that vary with time, weighted cause-specific and Fine-Gray models, interval-censored Weibull models, centres,
# meta-analysis, ratios of restricted means.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages({
  library(splines)
  library(metafor)
})

# --- effects that vary with time ------------------------------------------------------------------
# weights are arbitrary positive numbers that differ between patients: Age / 60, and those of the simulated data
trial <- deaths[deaths$rx != "Lev", ]
relapse <- recurrences[recurrences$rx != "Lev", ]
sets <- list(
  hcc_rfs = list(data = "hcc_resection", d = with(hcc, data.frame(start = 0, time = RFS, event = Recurrence, treated = high, w = 1, s = Gender)),
                 cuts = c(6, 12, 24), knots = c(3, 9, 20, 60), at = c(3, 6, 12, 24, 36)),
  hcc_rfs_weighted = list(data = "hcc_resection", d = with(hcc, data.frame(start = 0, time = RFS, event = Recurrence, treated = high, w = Age / 60, s = Gender)),
                          cuts = c(6, 12, 24), knots = c(3, 9, 20, 60), at = c(3, 6, 12, 24, 36)),
  colon_os = list(data = "colon", d = with(trial, data.frame(start = 0, time = time, event = status, treated = lev5fu, w = age / 60, s = 1)),
                  cuts = c(365, 730), knots = c(200, 500, 900, 2000), at = c(250, 500, 1000, 2000)),
  colon_ttr_node4 = list(data = "colon", d = with(relapse, data.frame(start = 0, time = time, event = status, treated = lev5fu, w = age / 60, s = node4)),
                         cuts = c(365, 730), knots = c(150, 350, 600, 1500), at = c(250, 500, 1000, 2000)),
  sim_late = list(data = "simulated", d = with(simulated, data.frame(start = start, time = time, event = event, treated = x2, w = weight, s = stratum)),
                  cuts = c(5, 10), knots = c(2, 6, 12, 25), at = c(2, 5, 10, 20))
)
for (name in names(sets)) {
  set <- sets[[name]]
  d <- set$d
  d$person <- seq_len(nrow(d))
  split <- survSplit(Surv(start, time, event) ~ ., d, cut = set$cuts, episode = "piece")
  for (j in seq_len(length(set$cuts) + 1)) split[[paste0("p", j)]] <- split$treated * (split$piece == j)
  terms <- paste0("p", seq_len(length(set$cuts) + 1), collapse = " + ")
  fit <- coxph(as.formula(paste("Surv(start, time, event) ~", terms, "+ strata(s)")), split, weights = w, cluster = person, control = strict)
  what <- "survival::coxph(survSplit, cluster)"
  record(paste0("piecewise.", name, ".coef"), coef(fit), what, set$data)
  record(paste0("piecewise.", name, ".se"), sqrt(diag(vcov(fit))), what, set$data)
  l <- cbind(-1, diag(length(set$cuts)))
  record(paste0("piecewise.", name, ".constancy"), t(l %*% coef(fit)) %*% solve(l %*% vcov(fit) %*% t(l), l %*% coef(fit)), what, set$data)

  # any basis of the same natural splines gives the same hazard ratios: R's own instead of Harrell's
  basis <- function(t) cbind(1, ns(log(t), knots = log(set$knots[2:3]), Boundary.knots = log(set$knots[c(1, 4)])))
  grid <- sort(unique(d$time[d$event == 1]))
  split <- survSplit(Surv(start, time, event) ~ ., d, cut = grid)
  b <- basis(split$time) * split$treated
  for (j in 1:4) split[[paste0("b", j)]] <- b[, j]
  fit <- coxph(Surv(start, time, event) ~ b1 + b2 + b3 + b4 + strata(s), split, weights = w, cluster = person, control = strict)
  what <- "survival::coxph(survSplit at all event times, splines::ns, cluster)"
  at <- basis(set$at)
  record(paste0("spline.", name, ".log_hr"), at %*% coef(fit), what, set$data)
  record(paste0("spline.", name, ".se"), sqrt(diag(at %*% vcov(fit) %*% t(at))), what, set$data)
  k <- 2:4
  record(paste0("spline.", name, ".constancy"), coef(fit)[k] %*% solve(vcov(fit)[k, k], coef(fit)[k]), what, set$data)

  km <- survfit(Surv(start, time, event) ~ 1, d, weights = w)
  g <- function(t) 1 - c(1, km$surv)[findInterval(t, km$time, left.open = TRUE) + 1]
  split$g <- g(split$time) * split$treated
  fit <- coxph(Surv(start, time, event) ~ treated + g + strata(s), split, weights = w, cluster = person, control = strict)
  what <- "survival::coxph(survSplit at all event times, treatment by Kaplan-Meier time, cluster)"
  record(paste0("constancy.", name), coef(fit)["g"]^2 / vcov(fit)["g", "g"], what, set$data)
}

# --- competing risks, weighted by patient ----------------------------------------------------------
both <- merge(recurrences, deaths[, c("id", "time", "status")], by = "id", suffixes = c("", "_death"))
both$cause <- with(both, ifelse(status == 1, 1, ifelse(status_death == 1, 2, 0)))
both$first <- ifelse(both$status == 1, both$time, both$time_death)
competing <- list(
  hcc = list(data = "hcc_resection", d = with(hcc, data.frame(time = RFS, cause = cause, treated = high, w = Age / 60))),
  colon = list(data = "colon", d = with(both[both$rx != "Lev", ], data.frame(time = first, cause = cause, treated = lev5fu, w = age / 60))),
  sim = list(data = "simulated", d = with(simulated, data.frame(time = time, cause = cause, treated = x2, w = weight)))
)
for (name in names(competing)) {
  d <- competing[[name]]$d
  d$person <- seq_len(nrow(d))
  for (k in 1:2) {
    fit <- coxph(Surv(time, cause == k) ~ treated, d, weights = w, robust = TRUE, control = strict)
    record(paste0("cause_specific.", name, ".cause", k), c(coef(fit), sqrt(diag(vcov(fit)))), "survival::coxph(robust)", competing[[name]]$data)
    d$state <- factor(d$cause, 0:max(d$cause))
    expanded <- finegray(Surv(time, state) ~ treated + person + w, d, weights = w, etype = as.character(k))
    fit <- coxph(Surv(fgstart, fgstop, fgstatus) ~ treated, expanded, weights = fgwt, cluster = person, control = strict)
    record(paste0("finegray_weighted.", name, ".cause", k), c(coef(fit), sqrt(diag(vcov(fit)))), "survival::finegray, coxph(cluster)", competing[[name]]$data)
  }
}

# --- interval-censored Weibull models --------------------------------------------------------------
# an event found at `time` happened in the `width` before it; those of `exact` have their time
intervals <- function(time, event, width, exact) {
  lower <- ifelse(event == 1, ifelse(exact, time, time - width), time)
  upper <- ifelse(event == 1, time, NA)
  lower[event == 1 & lower <= 0] <- NA # left-censored
  Surv(lower, upper, type = "interval2")
}
record_weibull <- function(id, formula, d, weights, data) {
  # residuals() evaluates the call again, at top level
  .patients <<- d
  .patients$.w <<- weights
  fit <- eval(bquote(survreg(.(formula), .patients, weights = .w, control = survreg.control(rel.tolerance = 1e-14, maxiter = 200))))
  # survreg(robust = TRUE) does not serve: it sums squared dfbetas without the case weights, and the derivative by
  # log(scale) that residuals.survreg takes for interval-censored rows (status 3) has the wrong sign in survival 3.5-3, as
  # numerical differentiation of the log-likelihood shows. The sandwich is made of survreg's own derivatives, mended.
  derivatives <- residuals(fit, "matrix")
  response <- eval(formula[[2]], .patients)
  inside <- response[, ncol(response)] == 3
  by_scale <- ifelse(inside, -1, 1) * derivatives[, "ds"]
  score <- cbind(derivatives[, "dg"] * model.matrix(formula, .patients), by_scale)
  stopifnot(abs(colSums(score * weights)) < 1e-5) # at the maximum
  robust <- fit$var %*% crossprod(score * weights) %*% fit$var
  record(paste0(id, ".coef"), c(coef(fit), log(fit$scale)), "survival::survreg(interval2)", data)
  record(paste0(id, ".se_model"), sqrt(diag(fit$var)), "survival::survreg(interval2)", data)
  record(paste0(id, ".se_robust"), sqrt(diag(robust)), "survival::residuals.survreg(matrix), sandwich", data)
  record(paste0(id, ".loglik"), fit$loglik[2], "survival::survreg(interval2)", data)
  p <- length(coef(fit)) + 1
  g <- rep(0, p)
  g[2] <- -1 / fit$scale
  g[p] <- coef(fit)[2] / fit$scale
  record(paste0(id, ".log_hr"), c(-coef(fit)[2] / fit$scale, sqrt(g %*% robust %*% g)), "survival::survreg, delta method", data)
}
hcc$found <- with(hcc, intervals(RFS, Recurrence, 3, cause == 2))
record_weibull("weibull.hcc", found ~ high + Age, hcc, rep(1, nrow(hcc)), "hcc_resection")
record_weibull("weibull.hcc_weighted", found ~ high, hcc, hcc$Age / 60, "hcc_resection")
both <- both[both$rx != "Lev", ]
both$found <- with(both, intervals(first / 365.25, as.integer(cause > 0), 0.25, cause == 2))
record_weibull("weibull.colon_weighted", found ~ lev5fu, both, both$age / 60, "colon")
simulated$found <- with(simulated, intervals(time, event, 2, cause == 2))
record_weibull("weibull.sim_weighted", found ~ x2 + x1, simulated, simulated$weight, "simulated")
record_weibull("weibull.sim_exact", Surv(time, event) ~ x2, simulated, simulated$weight, "simulated")

# --- centres ---------------------------------------------------------------------------------------
d <- simulated
fit <- coxph(Surv(time, event) ~ x2 + strata(cluster), d, weights = weight, robust = TRUE, control = strict)
record("centres.sim_stratified", c(coef(fit), sqrt(diag(vcov(fit)))), "survival::coxph(strata, robust)", "simulated")
fit <- coxph(Surv(time, event) ~ x2, d, weights = weight, cluster = cluster, control = strict)
record("centres.sim_clustered", c(coef(fit), sqrt(diag(vcov(fit)))), "survival::coxph(cluster)", "simulated")

record_meta <- function(id, yi, vi, data) {
  fit <- rma(yi, vi, method = "REML", test = "knha", control = list(threshold = 1e-15, maxiter = 10000))
  wald <- rma(yi, vi, method = "REML", control = list(threshold = 1e-15, maxiter = 10000))
  common <- rma(yi, vi, method = "FE")
  limits <- confint(fit, control = list(tol = 1e-15, tau2.max = 1e4, maxiter = 10000))$random
  what <- "metafor::rma(REML, knha)"
  record(paste0(id, ".random"), c(fit$beta, fit$se, fit$ci.lb, fit$ci.ub, fit$pval), what, data)
  record(paste0(id, ".random_wald"), c(wald$beta, wald$se, wald$ci.lb, wald$ci.ub, wald$pval), "metafor::rma(REML)", data)
  record(paste0(id, ".common"), c(common$beta, common$se, common$ci.lb, common$ci.ub, common$pval), "metafor::rma(FE)", data)
  safe <- rma(yi, vi, method = "REML", test = "adhoc", control = list(threshold = 1e-15, maxiter = 10000))
  p <- predict(safe)
  record(paste0(id, ".random_adhoc"), c(safe$se, safe$ci.lb, safe$ci.ub, safe$pval, p$pi.lb, p$pi.ub), "metafor::rma(REML, adhoc)", data)
  p <- predict(fit)
  record(paste0(id, ".prediction"), c(p$pi.lb, p$pi.ub), "metafor::predict.rma", data)
  record(paste0(id, ".tau2"), c(fit$tau2, limits["tau^2", 2:3]), "metafor::confint.rma", data)
  record(paste0(id, ".i2"), c(fit$I2, limits["I^2(%)", 2:3]), "metafor::confint.rma", data)
  record(paste0(id, ".q"), c(fit$QE, fit$QEp, fit$s2w), what, data)
  record(paste0(id, ".weights"), c(weights(wald)), "metafor::weights.rma", data)
}
# the effects themselves are recorded too: the data sets come with metafor
bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
hackshaw <- dat.hackshaw1998
for (name in c("bcg", "hackshaw")) {
  e <- get(name)
  record(paste0("meta.", name, ".effects"), e$yi, "metafor::escalc", paste0("dat.", name))
  record(paste0("meta.", name, ".variances"), e$vi, "metafor::escalc", paste0("dat.", name))
  record_meta(paste0("meta.", name), e$yi, e$vi, paste0("dat.", name))
}
record_meta("meta.three", c(0.1, 0.9, -0.7), c(0.1, 0.02, 0.05), "three made-up studies")
record_meta("meta.homogeneous", c(0.1, 0.3, -0.2, 0.15), c(0.1, 0.2, 0.15, 0.3), "four made-up studies")
record_meta("meta.two", c(0.1, 0.9), c(0.1, 0.02), "two made-up studies")
stage <- sapply(sort(unique(simulated$cluster)), function(k) {
  own <- simulated[simulated$cluster == k, ]
  if (nrow(own) < 10 || any(tapply(own$event, factor(own$x2, 0:1), sum, default = 0) == 0)) return(c(NA, NA))
  fit <- coxph(Surv(time, event) ~ x2, own, weights = weight, robust = TRUE, control = strict)
  c(coef(fit), vcov(fit))
})
stage <- stage[, !is.na(stage[1, ])]
record_meta("meta.sim_centres", stage[1, ], stage[2, ], "simulated")

# --- ratios of restricted means --------------------------------------------------------------------
record_ratio <- function(id, fit, horizons, treated, data) {
  for (tau in horizons) {
    table <- summary(fit, rmean = tau)$table
    m <- table[c(treated, 3 - treated), "rmean"]
    s <- table[c(treated, 3 - treated), "se(rmean)"]
    record(paste0(id, ".", tau), c(m[1] / m[2], sqrt(sum((s / m)^2)), m[1] - m[2], sqrt(sum(s^2))), "survival::print.survfit(rmean=), delta method", data)
  }
}
record_ratio("rmst_ratio.hcc_rfs", survfit(Surv(RFS, Recurrence) ~ high, hcc), c(12, 24, 36, 60), 2, "hcc_resection")
record_ratio("rmst_ratio.colon_os", survfit(Surv(time, status) ~ lev5fu, trial), c(365, 1095, 1825), 2, "colon")
write_values("time_to_event", c("survival", "metafor"))
