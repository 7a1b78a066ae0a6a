# What a synthesis hangs on: each study left out, studies added one by one, Egger's test, the prediction interval of Higgins;
# restricted means of piecewise-exponential survival. (Pooling itself: r/time_to_event.R.)
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages(library(metafor))

exact <- list(threshold = 1e-15, maxiter = 10000)
shapes <- c("estimate", "se", "ci.lb", "ci.ub", "pval", "tau2", "I2", "Q", "Qp")
record_parts <- function(id, parts, rows, what, data) {
  if (is.null(parts[["pval"]])) parts[["pval"]] <- parts[["pvals"]] # cumul says pvals, leave1out pval
  for (shape in shapes) record(paste0(id, ".", tolower(shape)), parts[[shape]][rows], what, data)
}
record_synthesis <- function(id, yi, vi, data) {
  k <- length(yi)
  for (test in c("knha", "adhoc", "z")) {
    fit <- rma(yi, vi, method = "REML", test = test, control = exact)
    name <- paste0(id, ".", test)
    record_parts(paste0(name, ".cumulative"), cumul(fit), 2:k, paste0("metafor::cumul(", test, ")"), data)
    if (k > 2) record_parts(paste0(name, ".leave_one_out"), leave1out(fit), 1:k, paste0("metafor::leave1out(", test, ")"), data)
  }
  if (k > 2) {
    p <- predict(rma(yi, vi, method = "REML", control = exact), pi.type = "riley")
    record(paste0(id, ".prediction_higgins"), c(p$pi.lb, p$pi.ub), "metafor::predict.rma(pi.type = \"riley\")", data)
    r <- regtest(rma(yi, vi, method = "REML", control = exact), model = "lm", predictor = "sei")
    slope <- summary(r$fit)$coefficients[2, ]
    half <- qt(0.975, r$dfs) * slope["Std. Error"]
    record(paste0(id, ".egger"), c(slope["Estimate"], slope["Std. Error"], slope["Estimate"] - half, slope["Estimate"] + half,
                                  r$zval, r$dfs, r$pval), "metafor::regtest(model = \"lm\", predictor = \"sei\")", data)
    record(paste0(id, ".egger_limit"), c(r$est, r$ci.lb, r$ci.ub), "metafor::regtest(model = \"lm\", predictor = \"sei\")", data)
  }
}
bcg <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
record_synthesis("synthesis.bcg", bcg$yi, bcg$vi, "dat.bcg")
record_synthesis("synthesis.hackshaw", dat.hackshaw1998$yi, dat.hackshaw1998$vi, "dat.hackshaw1998")

# scoring in full steps goes to and fro over the maximum: shorter ones arrive
cycling <- list(yi = c(0, 0, 0.1, 0, 0, 0, 0), vi = c(0.05, 0.09, 0.05, 0.1, 0.11, 0.11, 0.15)^2)
fit <- rma(cycling$yi, cycling$vi, method = "REML", control = c(exact, stepadj = 0.5))
record("synthesis.cycling", c(fit$tau2, fit$beta, fit$se), "metafor::rma(REML, stepadj = 0.5)", "seven made-up studies")

# hazard ratios of the evidence tables, standard errors from the printed intervals, in the order of the years
effects <- read.csv(file.path(repository, "data/evidence/effects.csv"))
published <- list(
  adjuvant_ttr = c("storm_ttr", "soramic_ablation_ttr"),
  tace_ttp = c("post_tace_ttp", "space_ttp"),
  tace_os = c("post_tace_os", "space_os", "tace_2_os", "tactics_os")
)
for (name in names(published)) {
  e <- effects[match(published[[name]], effects$effect_id), ]
  se <- (log(e$ci_high) - log(e$ci_low)) / (2 * qnorm(0.5 + e$ci_level / 200))
  record_synthesis(paste0("synthesis.", name), log(e$estimate), se^2, "data/evidence/effects.csv")
}

# --- piecewise-exponential survival through printed percentages: closed forms by quadrature, and 20000 patients -----------
# data/evidence/survival_percentages.csv
printed <- read.csv(file.path(repository, "data/evidence/survival_percentages.csv"))
for (curve in c("recurrent_milan.OS", "recurrent_milan.TFS", "wang_2024.RFS")) {
  patients <- NULL
  for (arm in c("treated", "control")) {
    own <- printed[paste(printed$study_id, printed$endpoint, sep = ".") == curve & printed$arm == arm, ]
    own <- own[order(own$month), ]
    knots <- c(0, own$month)
    hazard <- approxfun(knots, c(0, -log(own$percent / 100)))
    rate <- diff(hazard(knots)) / diff(knots)
    last <- max(knots)
    horizons <- c(last / 2, last)
    id <- paste0("printed.", curve, ".", arm)
    data <- "data/evidence/survival_percentages.csv"
    integral <- function(f, a, b) integrate(f, a, b, rel.tol = 1e-12)$value
    area <- sapply(horizons, function(tau) {
      ends <- sort(unique(c(knots[knots < tau], tau)))
      sum(mapply(function(a, b) integral(function(t) exp(-hazard(t)), a, b), head(ends, -1), tail(ends, -1)))
    })
    record(paste0(id, ".rmst"), area, "stats::integrate", data)
    # 150 patients, censored at a constant rate, half of them by month 50: variance of the cumulative hazard and events expected
    followed <- function(t) 0.5^(t / 50)
    pieces <- seq_along(rate)
    record(paste0(id, ".variance"), sapply(pieces, function(j) integral(
      function(t) rate[j] / (150 * exp(-hazard(t)) * followed(t)), knots[j], knots[j + 1])), "stats::integrate", data)
    record(paste0(id, ".expected_events"), sapply(pieces, function(j) integral(
      function(t) rate[j] * 150 * exp(-hazard(t)) * followed(t), knots[j], knots[j + 1])), "stats::integrate", data)
    # patients at the quantiles of the curve; those beyond the last time are censored there
    n <- 20000
    at <- -log((seq_len(n) - 0.5) / n)
    event <- as.numeric(at < hazard(last))
    time <- ifelse(event == 1, approx(hazard(knots), knots, at)$y, last)
    fit <- survfit(Surv(time, event) ~ 1)
    table <- sapply(horizons, function(tau) summary(fit, rmean = tau)$table[c("rmean", "se(rmean)")])
    record(paste0(id, ".rmst_patients"), table, "survival::print.survfit(rmean=)", data)
    patients <- rbind(patients, data.frame(time, event, treated = as.numeric(arm == "treated")))
  }
  fit <- coxph(Surv(time, event) ~ treated, patients, control = strict)
  record(paste0("printed.", curve, ".cox_patients"), coef(fit), "survival::coxph", data)
}
write_values("meta_analysis", c("survival", "metafor"))
