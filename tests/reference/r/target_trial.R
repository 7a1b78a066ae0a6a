# Clone-censor-weight: weights written out from their formulas on start-stop rows of the copies, with glm and coxph behind
# them; weighted Kaplan-Meier and Cox of the rows; weighted Aalen-Johansen of recurrence with death competing; time in
# three states; Cox with time-varying exposure, variance clustered by patient.
# The colon trial's survival times with invented starts: nothing here says anything about that trial.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))

kept <- colon[colon$rx != "Lev", ]
recurrence <- kept[kept$etype == 1, ]
death <- kept[kept$etype == 2, ]
recurrence <- recurrence[order(recurrence$id), ]
death <- death[order(death$id), ]
stopifnot(all(recurrence$id == death$id))
grace <- 60
d <- data.frame(id = death$id, age = death$age, sex = death$sex, node4 = death$node4, extent = death$extent)
d$until <- ifelse(recurrence$status == 1, recurrence$time, Inf)
d$died <- ifelse(death$status == 1, death$time, Inf)
invented <- 5 + (d$id * 7) %% 50
d$start <- ifelse(death$rx == "Lev+5FU" & invented < pmin(d$until, death$time), invented, Inf)
d$known <- d$until > grace & d$died > grace & death$time >= grace
d$leaves <- pmin(d$start, d$until, death$time)
d$y <- as.integer(is.finite(d$start))
outcomes <- list(
  rfs = list(time = ifelse(recurrence$status == 1, recurrence$time, death$time),
             event = as.integer(recurrence$status == 1 | death$status == 1)),
  os = list(time = death$time, event = death$status)
)
covariates <- y ~ age + sex + node4 + extent

# chances of a start: propensity score and timing among starters; or a Cox model of initiation
score <- glm(covariates, binomial, d[d$known, ], control = glm.control(epsilon = 1e-15, maxit = 60))
e <- predict(score, d, type = "response")
times <- sort(unique(d$start[d$y == 1 & d$known]))
timing <- c(0, sapply(times, function(t) sum(d$start[d$known] <= t) / sum(d$y[d$known])))
record("target_trial.propensity", e, "stats::glm", "colon")
scored <- list(times = times, q = function(passed, who) 1 - e[who] * timing[passed + 1])

d$exit <- pmin(d$leaves, grace)
initiation <- coxph(update(covariates, Surv(exit, y) ~ .), d, control = strict)
x <- model.matrix(~ age + sex + node4 + extent, d)[, -1]
relative <- exp(as.numeric(scale(x, scale = FALSE) %*% coef(initiation)))
all_times <- sort(unique(d$start[d$y == 1]))
cumulative <- c(0, cumsum(sapply(all_times, function(t) sum(d$start == t) / sum(relative[d$exit >= t]))))
record("target_trial.initiation.coef", coef(initiation), "survival::coxph", "colon")
hazard <- list(times = all_times, q = function(passed, who) exp(-relative[who] * cumulative[passed + 1]))

copies <- function(outcome, chance, tilt, cap = c(Inf, Inf)) {
  base <- data.frame(who = seq_len(nrow(d)), start = d$start, until = d$until, time = outcome$time, event = outcome$event)
  rows <- survSplit(Surv(time, event) ~ ., base, cut = chance$times, start = "tstart", end = "tstop")
  passed <- findInterval(rows$tstart, chance$times)
  begun <- rows$start <= rows$tstart
  before <- sapply(rows$until, function(u) sum(chance$times < u))
  q <- chance$q(pmin(passed, before), rows$who)
  end <- chance$q(rep(length(chance$times), nrow(rows)), rows$who)
  own <- 1 - end
  h <- if (tilt == "overlap") own * end else 1
  treated <- cbind(rows, arm = 1, weight = ifelse(begun, h / own, h * (q - end) / (own * q)))
  control <- cbind(rows, arm = 0, weight = ifelse(begun, 0, h / q))
  treated$weight <- pmin(treated$weight, cap[1])
  control$weight <- pmin(control$weight, cap[2])
  all <- rbind(treated, control)
  all[all$weight > 0, ]
}
caps <- function(outcome, chance) {
  end <- chance$q(rep(length(chance$times), nrow(d)), seq_len(nrow(d)))
  stayed <- d$y == 0 & pmin(outcome$time, d$until) >= grace
  c(quantile(1 / (1 - end[d$y == 1]), 0.99), quantile(1 / end[stayed], 0.99))
}
restricted_mean <- function(curve, tau) {
  inside <- curve$time < tau
  t <- c(0, curve$time[inside], tau)
  sum(diff(t) * c(1, curve$surv[inside]))
}

tau <- 1000
for (endpoint in names(outcomes)) {
  outcome <- outcomes[[endpoint]]
  forms <- list(
    overlap = copies(outcome, scored, "overlap"),
    ate = copies(outcome, scored, "ate"),
    ate_truncated = copies(outcome, scored, "ate", caps(outcome, scored)),
    ate_cox = copies(outcome, hazard, "ate")
  )
  for (form in names(forms)) {
    rows <- forms[[form]]
    id <- paste0("target_trial.", endpoint, "_", form)
    means <- c()
    for (arm in c(1, 0)) {
      own <- rows[rows$arm == arm, ]
      curve <- survfit(Surv(tstart, tstop, event) ~ 1, own, weights = weight)
      name <- paste0(id, ".", c("control", "treated")[arm + 1])
      record(paste0(name, ".survival"), summary(curve, times = c(20, 50, 365, 1000), extend = TRUE)$surv, "survival::survfit", "colon")
      means <- c(means, restricted_mean(curve, tau))
      at <- own$weight[own$tstart <= 365 & own$tstop > 365]
      record(paste0(name, ".effective_n"), sum(at)^2 / sum(at^2), "base", "colon")
      record(paste0(name, ".max_weight"), max(own$weight), "base", "colon")
    }
    record(paste0(id, ".rmst"), c(means, means[1] - means[2], means[1] / means[2]), "survival::survfit", "colon")
    fit <- coxph(Surv(tstart, tstop, event) ~ arm, rows, weights = weight, cluster = who, control = strict)
    record(paste0(id, ".log_hr"), coef(fit), "survival::coxph", "colon")
    record(paste0(id, ".se_robust"), sqrt(fit$var[1, 1]), "survival::coxph", "colon")
  }
}

# recurrence with death without recurrence as competing event
causes <- ifelse(recurrence$status == 1, 1, ifelse(death$status == 1, 2, 0))
for (form in c("overlap", "ate")) {
  rows <- copies(outcomes$rfs, scored, form)
  rows$state <- factor(rows$event * causes[rows$who], 0:2, c("censor", "recurrence", "death"))
  for (arm in c(1, 0)) {
    own <- rows[rows$arm == arm, ]
    # survfit takes one weight a subject: each row is a subject of its own, which the estimate does not mind
    own$row <- seq_len(nrow(own))
    curve <- survfit(Surv(tstart, tstop, state) ~ 1, own, weights = weight, id = row)
    name <- paste0("target_trial.risk_", form, ".", c("control", "treated")[arm + 1])
    read <- summary(curve, times = c(20, 50, 365, 1000), extend = TRUE)$pstate
    record(paste0(name, ".recurrence"), read[, match("recurrence", curve$states)], "survival::survfit", "colon")
    record(paste0(name, ".death"), read[, match("death", curve$states)], "survival::survfit", "colon")
    inside <- curve$time < tau
    t <- c(0, curve$time[inside], tau)
    lost <- sum(diff(t) * c(0, curve$pstate[inside, match("recurrence", curve$states)]))
    record(paste0(name, ".time_lost"), lost, "survival::survfit", "colon")
  }
}

# time with toxicity, without, and after recurrence; invented episodes, some of which overlap; all times are whole days,
# so the sum over days is the integral
episodes <- rbind(
  data.frame(who = which(d$id %% 3 != 0), from = (3 + (d$id * 11) %% 700)[d$id %% 3 != 0], days = (10 + d$id %% 90)[d$id %% 3 != 0]),
  data.frame(who = which(d$id %% 5 == 0), from = (9 + (d$id * 11) %% 700)[d$id %% 5 == 0], days = (40 + d$id %% 70)[d$id %% 5 == 0])
)
days <- 0:(tau - 1)
is_toxic <- matrix(FALSE, nrow(d), tau)
for (i in seq_len(nrow(episodes))) {
  here <- days >= episodes$from[i] & days < episodes$from[i] + episodes$days[i]
  is_toxic[episodes$who[i], here] <- TRUE
}
partition <- list()
for (arm in c(1, 0)) {
  survival <- list()
  for (endpoint in names(outcomes)) {
    rows <- copies(outcomes[[endpoint]], scored, "overlap")
    own <- rows[rows$arm == arm, ]
    curve <- survfit(Surv(tstart, tstop, event) ~ 1, own, weights = weight)
    survival[[endpoint]] <- stepfun(curve$time, c(1, curve$surv))(days)
  }
  own <- copies(outcomes$rfs, scored, "overlap")
  own <- own[own$arm == arm, ]
  prevalence <- sapply(days, function(day) {
    here <- own$tstart <= day & own$tstop > day
    sum(own$weight[here & is_toxic[cbind(own$who, day + 1)]]) / sum(own$weight[here])
  })
  partition[[arm + 1]] <- c(sum(survival$rfs * prevalence), sum(survival$rfs * (1 - prevalence)), sum(survival$os - survival$rfs))
  record(paste0("target_trial.partition.", c("control", "treated")[arm + 1]), partition[[arm + 1]], "survival::survfit", "colon")
}
record("target_trial.partition.difference", partition[[2]] - partition[[1]], "survival::survfit", "colon")

# exposure that varies with time: starts up to a year and more after time zero, before recurrence
late <- 5 + (d$id * 13) %% 500
d$exposed_from <- ifelse(death$rx == "Lev+5FU" & late < d$until, late, Inf)
for (endpoint in names(outcomes)) {
  base <- d[, c("id", "age", "sex", "node4", "extent")]
  base$time <- outcomes[[endpoint]]$time
  base$event <- outcomes[[endpoint]]$event
  switched <- data.frame(id = d$id, from = ifelse(is.finite(d$exposed_from), d$exposed_from, NA))
  rows <- tmerge(base, base, id = id, dead = event(time, event))
  rows <- tmerge(rows, switched, id = id, exposed = tdc(from))
  for (formula in list(crude = Surv(tstart, tstop, dead) ~ exposed,
                       adjusted = Surv(tstart, tstop, dead) ~ exposed + age + sex + node4 + extent)) {
    fit <- coxph(formula, rows, cluster = id, control = strict)
    id <- paste0("target_trial.", endpoint, "_time_varying.", length(coef(fit)))
    record(paste0(id, ".coef"), coef(fit), "survival::coxph", "colon")
    record(paste0(id, ".se_robust"), sqrt(diag(fit$var)), "survival::coxph", "colon")
  }
}
write_values("target_trial", c("survival"))
